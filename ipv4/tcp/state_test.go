package tcp

import (
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// numbers are what a state has reached, relative to the initial numbers.
type numbers struct{ rcvNxt, sndUNA, sndNxt int }

var stateNumbers = map[State]numbers{
	SynReceived: {1, 0, 1}, Established: {1, 1, 1}, FinWait1: {1, 1, 2}, FinWait2: {1, 2, 2}, CloseWait: {2, 1, 1},
	Closing: {2, 1, 2}, LastAck: {2, 1, 2}, TimeWait: {2, 2, 2},
}

var synchronizedStates = []State{Established, FinWait1, FinWait2, CloseWait, Closing, LastAck, TimeWait}

// TestSegmentArrives is the table of RFC 9293 section 3.10.7.4: every state
// from SYN-RECEIVED on, every check.
func TestSegmentArrives(t *testing.T) {
	for _, state := range append([]State{SynReceived}, synchronizedStates...) {
		n := stateNumbers[state]
		at := func(name string, f func(tc *testConn)) {
			bubble(t, state.String()+"/"+name, Config{}, func(tc *testConn) {
				tc.state(state)
				f(tc)
			})
		}
		ack := seg{flags: ACK, seq: n.sndNxt, ack: n.rcvNxt}

		// First, check sequence number.
		at("old segment is acknowledged", func(tc *testConn) {
			tc.deliver(seg{flags: ACK, seq: -20, ack: n.sndUNA, data: "0123456789"})
			tc.want("ACK", ack)
			tc.wantState(state)
		})
		at("segment past the window is acknowledged", func(tc *testConn) {
			tc.deliver(seg{flags: ACK, seq: n.rcvNxt + 2<<20, ack: n.sndUNA, data: "0123456789"})
			tc.want("ACK", ack)
			tc.wantState(state)
		})
		at("old ACKs are answered once in a while", func(tc *testConn) {
			tc.deliver(seg{flags: ACK, seq: -20, ack: n.sndUNA})
			tc.want("ACK", ack)
			tc.deliver(seg{flags: ACK, seq: -20, ack: n.sndUNA})
			tc.wantIdle("RFC 5961 section 7")
			tc.advance(invalidRateLimit)
			for _, ok := tc.take(); ok; _, ok = tc.take() { // retransmissions
			}
			tc.deliver(seg{flags: ACK, seq: -20, ack: n.sndUNA})
			tc.want("ACK", ack)
		})
		// Second, check the RST bit.
		at("RST ends it", func(tc *testConn) {
			tc.deliver(seg{flags: RST, seq: n.rcvNxt})
			tc.wantIdle("a reset has no answer")
			require.Empty(tc.t, tc.pr.demux.all())
		})
		at("RST outside of the window is ignored", func(tc *testConn) {
			tc.deliver(seg{flags: RST, seq: n.rcvNxt - 1})
			tc.deliver(seg{flags: RST, seq: n.rcvNxt + 2<<20})
			tc.wantIdle("a reset has no answer")
			tc.wantState(state)
		})
		if state != TimeWait {
			at("RST inside of the window is challenged", func(tc *testConn) {
				tc.deliver(seg{flags: RST, seq: n.rcvNxt + 1})
				tc.want("challenge ACK, RFC 5961 section 3.2", ack)
				tc.wantState(state)
				tc.deliver(seg{flags: RST, seq: n.rcvNxt + 1})
				tc.wantIdle("rate limit")
			})
		}
		// Fourth, check the SYN bit.
		at("SYN is challenged", func(tc *testConn) {
			tc.deliver(seg{flags: SYN | ACK, seq: n.rcvNxt + 5, ack: n.sndUNA})
			tc.want("challenge ACK, RFC 5961 section 4.2", ack)
			tc.wantState(state)
		})
		// Fifth, check the ACK field.
		at("segment without ACK is dropped", func(tc *testConn) {
			tc.deliver(seg{seq: n.rcvNxt, data: "x"})
			if state == TimeWait {
				tc.take() // answered, as everything there
			}
			tc.wantIdle("no answer")
			tc.wantState(state)
		})
		if state != TimeWait && state != SynReceived {
			at("ACK of what was not sent is answered", func(tc *testConn) {
				tc.deliver(seg{flags: ACK, seq: n.rcvNxt, ack: n.sndNxt + 1})
				tc.want("ACK", ack)
				tc.wantState(state)
			})
			at("ACK from long ago is challenged", func(tc *testConn) {
				tc.deliver(seg{flags: ACK, seq: n.rcvNxt, ack: -70000})
				tc.want("RFC 5961 section 5.2", ack)
			})
		}
		// Seventh, the segment text.
		if state.receivesData() {
			at("data is acknowledged and read", func(tc *testConn) {
				tc.deliver(seg{flags: ACK, seq: n.rcvNxt, ack: n.sndNxt, data: "hello"})
				tc.want("ACK", seg{flags: ACK, seq: n.sndNxt, ack: n.rcvNxt + 5})
				tc.read("hello")
			})
			at("data out of order waits", func(tc *testConn) {
				tc.deliver(seg{flags: ACK, seq: n.rcvNxt + 5, ack: n.sndUNA, data: "world"})
				tc.want("duplicate ACK at once", ack)
				tc.deliver(seg{flags: ACK, seq: n.rcvNxt, ack: n.sndUNA, data: "hello"})
				tc.want("ACK of both at once", seg{flags: ACK, seq: n.sndNxt, ack: n.rcvNxt + 10})
				tc.read("helloworld")
			})
			at("FIN out of order waits", func(tc *testConn) {
				tc.deliver(seg{flags: ACK | FIN, seq: n.rcvNxt + 5, ack: n.sndUNA, data: "world"})
				tc.want("duplicate ACK at once", ack)
				tc.wantState(state)
				tc.deliver(seg{flags: ACK, seq: n.rcvNxt, ack: n.sndUNA, data: "hello"})
				tc.want("ACK of data and FIN", seg{flags: ACK, seq: n.sndNxt, ack: n.rcvNxt + 11})
				tc.read("helloworld")
				_, err := tc.conn.Read(make([]byte, 1))
				require.Equal(tc.t, io.EOF, err)
			})
		} else if state != SynReceived {
			at("data after the FIN is ignored", func(tc *testConn) {
				tc.deliver(seg{flags: ACK, seq: n.rcvNxt, ack: n.sndUNA, data: "hello"})
				tc.wantState(state)
				if state == TimeWait {
					return
				}
				require.Zero(tc.t, tc.conn.Info().RecvQ)
			})
		}
		// Eighth, check the FIN bit.
		next := map[State]State{SynReceived: CloseWait, Established: CloseWait, FinWait1: Closing, FinWait2: TimeWait,
			CloseWait: CloseWait, Closing: Closing, LastAck: LastAck, TimeWait: TimeWait}[state]
		at("FIN leads to "+next.String(), func(tc *testConn) {
			una := n.sndUNA
			if state == SynReceived {
				una = 1
			}
			tc.deliver(seg{flags: FIN | ACK, seq: n.rcvNxt, ack: una})
			if state.receivesData() || state == SynReceived {
				tc.want("ACK of the FIN", seg{flags: ACK, seq: n.sndNxt, ack: n.rcvNxt + 1})
			}
			tc.wantState(next)
		})
		at("its FIN again", func(tc *testConn) {
			if n.rcvNxt != 2 {
				return
			}
			tc.deliver(seg{flags: FIN | ACK, seq: 1, ack: n.sndUNA})
			tc.want("ACK again", ack)
			tc.wantState(state)
		})
		// FIN that also acknowledges ours.
		if state == FinWait1 {
			at("FIN with the ACK of ours leads to TIME-WAIT", func(tc *testConn) {
				tc.deliver(seg{flags: FIN | ACK, seq: 1, ack: 2})
				tc.want("ACK of the FIN", seg{flags: ACK, seq: 2, ack: 2})
				tc.wantState(TimeWait)
			})
		}
		after := map[State]State{FinWait1: FinWait2, Closing: TimeWait, LastAck: Closed}
		if next, ok := after[state]; ok {
			at("ACK of our FIN leads to "+next.String(), func(tc *testConn) {
				tc.deliver(seg{flags: ACK, seq: n.rcvNxt, ack: 2})
				tc.wantIdle("nothing to say")
				tc.wantState(next)
			})
		}
	}
	bubble(t, "SYN-RECEIVED/ACK of something else is reset", Config{}, func(tc *testConn) {
		tc.state(SynReceived)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 2})
		tc.want("RST", seg{flags: RST, seq: 2})
		tc.deliver(seg{flags: ACK, seq: 1, ack: 0})
		tc.want("RST", seg{flags: RST, seq: 0})
		tc.wantState(SynReceived)
	})
	bubble(t, "CLOSED", Config{}, func(tc *testConn) {
		// Section 3.10.7.1.
		tc.key = tuple{laddr: addr{10, 0, 0, 1}, raddr: addr{10, 0, 0, 2}, lport: 80, rport: 5000}
		tc.iss = 0
		tc.deliver(seg{flags: SYN, seq: 0, data: "x"})
		tc.want("RST with ACK of everything", seg{flags: RST | ACK, ack: 2})
		tc.deliver(seg{flags: ACK, seq: 5, ack: 77})
		tc.want("RST where the ACK points", seg{flags: RST, seq: 77})
		tc.deliver(seg{flags: RST, seq: 5})
		tc.wantIdle("no answer to a reset")
		require.EqualValues(tc.t, 3, tc.pr.config.Drops.Counts()["NO_SOCKET"])
	})
	bubble(t, "CLOSED/segment to a broadcast address", Config{}, func(tc *testConn) {
		tc.key = tuple{laddr: addr{10, 0, 0, 255}, raddr: addr{10, 0, 0, 2}, lport: 80, rport: 5000}
		tc.deliver(seg{flags: SYN})
		tc.wantIdle("RFC 9293 MUST-57")
	})
	bubble(t, "LISTEN", Config{}, func(tc *testConn) {
		// Section 3.10.7.2.
		tc.listen(plain)
		tc.deliver(seg{flags: RST, seq: 5})
		tc.wantIdle("first: RST is ignored")
		tc.deliver(seg{flags: ACK, seq: 5, ack: 77})
		tc.want("second: ACK is reset", seg{flags: RST, seq: 77})
		tc.deliver(seg{flags: SYN | ACK, seq: 5, ack: 77})
		tc.want("second: ACK is reset", seg{flags: RST, seq: 77})
		tc.deliver(seg{flags: FIN, seq: 5})
		tc.deliver(seg{seq: 5, data: "x"})
		tc.wantIdle("fourth: others are dropped")
		tc.iss = 0
		tc.haveISS = false
		tc.deliver(seg{flags: SYN})
		tc.want("third: SYN", seg{flags: SYN | ACK, ack: 1})
	})
}

// TestReset tells what the user sees of a reset in each state.
func TestReset(t *testing.T) {
	for state, want := range map[State]error{Established: syscall.ECONNRESET, FinWait1: syscall.ECONNRESET,
		FinWait2: syscall.ECONNRESET, CloseWait: syscall.EPIPE, Closing: io.EOF, LastAck: io.EOF} {
		bubble(t, state.String(), Config{}, func(tc *testConn) {
			tc.state(state)
			read := make(chan error, 1)
			go func() {
				_, err := tc.conn.Read(make([]byte, 1))
				read <- err
			}()
			tc.deliver(seg{flags: RST, seq: stateNumbers[state].rcvNxt})
			if want == io.EOF || state == CloseWait {
				// The reader had seen the end of the stream before.
				require.Equal(tc.t, io.EOF, <-read)
				return
			}
			require.ErrorIs(tc.t, <-read, want)
			_, err := tc.conn.Write([]byte("x"))
			require.ErrorIs(tc.t, err, syscall.EPIPE)
			require.NoError(tc.t, tc.conn.Close())
			require.ErrorIs(tc.t, tc.conn.Close(), net.ErrClosed)
		})
	}
	bubble(t, "what was received before is read first", Config{}, func(tc *testConn) {
		tc.state(Established)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, data: "hello"})
		tc.want("ACK", seg{flags: ACK, seq: 1, ack: 6})
		tc.deliver(seg{flags: RST, seq: 6})
		tc.read("hello")
		_, err := tc.conn.Read(make([]byte, 1))
		require.ErrorIs(tc.t, err, syscall.ECONNRESET)
		require.Regexp(tc.t, `^read tcp .*: read: connection reset by peer$`, err.Error())
	})
	bubble(t, "write fails with the reason first", Config{}, func(tc *testConn) {
		tc.state(Established)
		tc.deliver(seg{flags: RST, seq: 1})
		_, err := tc.conn.Write([]byte("x"))
		require.ErrorIs(tc.t, err, syscall.ECONNRESET)
		_, err = tc.conn.Write([]byte("x"))
		require.ErrorIs(tc.t, err, syscall.EPIPE)
	})
}

// TestUserCalls is RFC 9293 sections 3.10.2 to 3.10.5.
func TestUserCalls(t *testing.T) {
	bubble(t, "close from ESTABLISHED", Config{}, func(tc *testConn) {
		tc.state(Established)
		require.NoError(tc.t, tc.conn.Close())
		tc.want("FIN", seg{flags: FIN | ACK, seq: 1, ack: 1})
		tc.deliver(seg{flags: ACK, seq: 1, ack: 2})
		tc.wantState(FinWait2)
		tc.deliver(seg{flags: FIN | ACK, seq: 1, ack: 2})
		tc.want("ACK", seg{flags: ACK, seq: 2, ack: 2})
		tc.wantState(TimeWait)
		_, err := tc.conn.Read(nil)
		require.ErrorIs(tc.t, err, net.ErrClosed)
		_, err = tc.conn.Write(nil)
		require.ErrorIs(tc.t, err, net.ErrClosed)
		require.ErrorIs(tc.t, tc.conn.SetDeadline(time.Now()), net.ErrClosed)
	})
	bubble(t, "close after the peer", Config{}, func(tc *testConn) {
		tc.state(CloseWait)
		require.NoError(tc.t, tc.conn.Close())
		tc.want("FIN", seg{flags: FIN | ACK, seq: 1, ack: 2})
		tc.deliver(seg{flags: ACK, seq: 2, ack: 2})
		require.Empty(tc.t, tc.pr.demux.all())
	})
	bubble(t, "data before the FIN", Config{}, func(tc *testConn) {
		tc.state(Established)
		tc.write("hello")
		require.NoError(tc.t, tc.conn.Close())
		tc.want("data", seg{flags: ACK, seq: 1, ack: 1, data: "hello"})
		tc.want("FIN", seg{flags: FIN | ACK, seq: 6, ack: 1})
	})
	bubble(t, "half-close: reading goes on", Config{}, func(tc *testConn) {
		tc.state(FinWait2)
		tc.advance(10 * time.Minute)
		tc.wantState(FinWait2)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 2, data: "late"})
		tc.want("ACK", seg{flags: ACK, seq: 2, ack: 5})
		tc.read("late")
		_, err := tc.conn.Write([]byte("x"))
		require.ErrorIs(tc.t, err, syscall.EPIPE)
	})
	bubble(t, "half-close: writing goes on", Config{}, func(tc *testConn) {
		tc.state(CloseWait)
		tc.write("more")
		tc.want("data", seg{flags: ACK, seq: 1, ack: 2, data: "more"})
		_, err := tc.conn.Read(make([]byte, 1))
		require.Equal(tc.t, io.EOF, err)
	})
	bubble(t, "close with unread data resets", Config{}, func(tc *testConn) {
		tc.state(Established)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, data: "hello"})
		tc.want("ACK", seg{flags: ACK, seq: 1, ack: 6})
		require.NoError(tc.t, tc.conn.Close())
		tc.want("RST", seg{flags: RST | ACK, seq: 1, ack: 6})
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpExtTCPAbortOnClose"])
		require.Empty(tc.t, tc.pr.demux.all())
	})
	bubble(t, "data after close resets", Config{}, func(tc *testConn) {
		tc.state(Established)
		require.NoError(tc.t, tc.conn.Close())
		tc.want("FIN", seg{flags: FIN | ACK, seq: 1, ack: 1})
		tc.deliver(seg{flags: ACK, seq: 1, ack: 2, data: "hello"})
		tc.want("RST", seg{flags: RST | ACK, seq: 2, ack: 1})
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpExtTCPAbortOnData"])
	})
	bubble(t, "linger 0 resets", Config{}, func(tc *testConn) {
		tc.state(Established)
		require.NoError(tc.t, tc.conn.SetLinger(0))
		require.NoError(tc.t, tc.conn.Close())
		tc.want("RST", seg{flags: RST | ACK, seq: 1, ack: 1})
		require.Empty(tc.t, tc.pr.demux.all())
	})
	bubble(t, "linger 3 gives up after 3 s", Config{}, func(tc *testConn) {
		tc.state(Established)
		require.NoError(tc.t, tc.conn.SetLinger(3))
		tc.write("x")
		require.NoError(tc.t, tc.conn.Close())
		tc.advance(3*time.Second - 1)
		require.NotEmpty(tc.t, tc.pr.demux.all())
		tc.advance(1)
		require.Empty(tc.t, tc.pr.demux.all())
	})
	bubble(t, "orphan in FIN-WAIT-2 ends after 60 s", Config{}, func(tc *testConn) {
		tc.state(FinWait2)
		require.NoError(tc.t, tc.conn.Close())
		tc.advance(time.Minute - 1)
		tc.wantState(FinWait2)
		tc.advance(1)
		tc.wantState(Closed)
		tc.wantIdle("no reset")
	})
	bubble(t, "orphan in FIN-WAIT-1 gives up", Config{}, func(tc *testConn) {
		tc.state(FinWait1)
		require.NoError(tc.t, tc.conn.Close())
		tc.advance(15 * time.Minute)
		tc.wantState(Closed)
		n := 0
		for _, ok := tc.take(); ok; _, ok = tc.take() {
			n++
		}
		require.Equal(tc.t, 8, n, "tcp_orphan_retries")
	})
	bubble(t, "CloseRead", Config{}, func(tc *testConn) {
		tc.state(Established)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, data: "hello"})
		tc.want("ACK", seg{flags: ACK, seq: 1, ack: 6})
		require.NoError(tc.t, tc.conn.CloseRead())
		tc.read("hello")
		_, err := tc.conn.Read(make([]byte, 1))
		require.Equal(tc.t, io.EOF, err)
		tc.write("x")
		tc.want("data", seg{flags: ACK, seq: 1, ack: 6, data: "x"})
	})
	bubble(t, "CloseWrite of a connection that ended", Config{}, func(tc *testConn) {
		tc.state(Established)
		tc.deliver(seg{flags: RST, seq: 1})
		require.ErrorIs(tc.t, tc.conn.CloseWrite(), syscall.ENOTCONN)
	})
	bubble(t, "Abort", Config{}, func(tc *testConn) {
		tc.state(Established)
		require.NoError(tc.t, tc.conn.Abort())
		tc.want("RST", seg{flags: RST | ACK, seq: 1, ack: 1})
	})
}
