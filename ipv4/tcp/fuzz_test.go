package tcp

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

// FuzzInput throws segments at a connection that is alive: eight bytes each say
// what to change about a good one. Nothing may panic, leak, or take more memory
// than the limits.
func FuzzInput(f *testing.F) {
	f.Add([]byte{16, 0, 0, 0, 0, 0, 5, 0})
	f.Add([]byte{17, 0, 0, 0, 0, 0, 0, 0, 16, 0, 1, 0, 0, 0, 0, 1})
	f.Add([]byte{4, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0, 0, 18, 0, 9, 0, 9, 0, 200, 3})
	f.Add([]byte{16, 0, 100, 0, 0, 0, 255, 0, 16, 0, 50, 0, 0, 0, 100, 0, 16, 0, 0, 0, 0, 0, 60, 0})
	f.Fuzz(fuzzInput)
}

func fuzzInput(t *testing.T, b []byte) {
	if len(b) > 8*64 {
		return
	}
	synctest.Test(t, func(t *testing.T) {
		tc := newTestConn(t, Config{})
		defer func() {
			tc.pr.Close()
			require.Zero(t, link.LivePackets())
		}()
		sc := SocketConfig{NoTimestamps: true, ReceiveBuffer: 16 << 10}
		if len(b)%4 >= 2 {
			tc.passive(sc)
		} else {
			tc.active(sc)
		}
		tc.write(bytesOf('a', 5000))
		if len(b)%2 == 1 {
			tc.conn.CloseWrite()
		}
		for ; len(b) >= 8; b = b[8:] {
			s := seg{flags: Flags(b[0]), seq: 1 + int(int8(b[1]))<<8 + int(b[2]), ack: 1 + int(int8(b[3]))<<8 + int(b[4]),
				win: int(b[5]) << 6, data: bytesOf('x', int(b[6])*4)}
			if b[7]&1 != 0 {
				time.Sleep(time.Duration(b[7]) * time.Millisecond)
			}
			if b[7]&2 != 0 {
				s.ts = uint32(b[7])
			}
			tc.deliver(s)
			if b[7]&4 != 0 && tc.conn.Info().RecvQ > 0 {
				tc.conn.Read(make([]byte, 100))
			}
		}
		i := tc.conn.Info()
		require.LessOrEqual(t, i.RecvQ, 16<<10)
		require.GreaterOrEqual(t, i.Unacked, 0)
		require.GreaterOrEqual(t, i.Lost, 0)
		require.GreaterOrEqual(t, i.SndCwnd, i.SndMSS)
		require.LessOrEqual(t, i.Lost, i.Unacked)
		lost := 0
		for k := range tc.conn.snd.sent.len() {
			if x := tc.conn.snd.sent.at(k); x.lost {
				lost += x.len()
			}
		}
		require.Equal(t, lost, i.Lost)
	})
}

// FuzzSACK sends ACKs with any blocks to a connection that has data in flight:
// four bytes each for the kind, the ACK and two ends of a block. Nothing may
// panic, and the sums must stay those of the segments.
func FuzzSACK(f *testing.F) {
	f.Add([]byte{0, 0, 10, 20, 0, 0, 10, 30, 0, 40, 0, 0})
	f.Add([]byte{1, 0, 10, 20, 7, 0, 30, 40, 0, 0, 5, 9, 2, 0, 1, 2})
	f.Add([]byte{3, 10, 5, 8, 3, 10, 20, 60, 3, 10, 60, 20, 15, 0, 0, 0})
	f.Add([]byte{128, 0, 1, 200, 64, 0, 0, 0, 128, 30, 0, 255})
	f.Fuzz(fuzzSACK)
}

func fuzzSACK(t *testing.T, b []byte) {
	if len(b) > 4*200 {
		return
	}
	synctest.Test(t, func(t *testing.T) {
		tc := newTestConn(t, Config{})
		defer func() {
			tc.pr.Close()
			require.Zero(t, link.LivePackets())
		}()
		sc := SocketConfig{NoTimestamps: len(b)%2 == 0}
		done := tc.dial(sc)
		syn := tc.want("SYN", seg{flags: SYN})
		ts := uint32(0)
		if !sc.NoTimestamps {
			ts = 1000
		}
		time.Sleep(10 * time.Millisecond)
		tc.deliver(seg{flags: SYN | ACK, ack: 1, mss: 536, win: 60000, sackOK: true, ts: ts, ecr: syn.ts})
		require.NoError(t, <-done)
		require.NoError(t, tc.conn.SetWriteBuffer(1<<20))
		tc.write(bytesOf('a', 60000))
		const unit = 131 // of numbers: most are inside of a segment
		for ; len(b) >= 4; b = b[4:] {
			if b[0]&1 != 0 {
				time.Sleep(time.Duration(b[0]) * time.Millisecond)
			}
			s := seg{flags: ACK, seq: 1, win: 60000}
			if b[0]&2 == 0 {
				tc.conn.mu.Lock()
				una, out := tc.conn.snd.una, tc.conn.snd.inFlight()
				tc.conn.mu.Unlock()
				s.ack = una.Add(out * int(b[1]) / 512).Sub(tc.iss)
			} else {
				s.ack = int(b[1]) * unit
			}
			if ts != 0 {
				ts++
				s.ts, s.ecr = ts, syn.ts+uint32(b[0])
			}
			for i := range int(b[0]>>2)%4 + 1 {
				s.sack = append(s.sack, [2]int{int(b[2])*unit + i*1000, int(b[3])*unit + i*1000})
			}
			if ts != 0 && len(s.sack) > 3 {
				s.sack = s.sack[:3]
			}
			tc.deliver(s)
			if tc.conn.Info().State != Established {
				return
			}
			checkScoreboard(t, tc.conn)
			i := tc.conn.Info()
			require.LessOrEqual(t, i.Lost+i.Sacked, i.Unacked)
			require.GreaterOrEqual(t, i.SndCwnd, i.SndMSS)
			tc.conn.mu.Lock()
			entries := tc.conn.snd.sent.len()
			tc.conn.mu.Unlock()
			require.LessOrEqual(t, entries, 60000/i.SndMSS*3)
			if b[0]&32 != 0 {
				tc.write("more")
			}
		}
	})
}
