package tcp

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/stack/random"
)

// pattern is a reader of n bytes that depend on a seed.
func pattern(seed uint64, n int64) io.Reader {
	r := random.New(seed)
	return io.LimitReader(readerFunc(func(b []byte) (int, error) {
		for i := 0; i < len(b); i += 8 {
			x := r.Uint64()
			for j := i; j < min(i+8, len(b)); j++ {
				b[j] = byte(x)
				x >>= 8
			}
		}
		return len(b), nil
	}), n)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

func TestTransfer(t *testing.T) {
	for _, f := range []faults{
		{delay: time.Millisecond},
		{delay: 10 * time.Millisecond, loss: 0.01},
		{delay: 10 * time.Millisecond, loss: 0.05},
		{delay: 5 * time.Millisecond, reorder: 0.05},
		{delay: 5 * time.Millisecond, dup: 0.05},
		{delay: 5 * time.Millisecond, loss: 0.02, dup: 0.02, reorder: 0.02},
	} {
		t.Run(fmt.Sprintf("loss %v dup %v reorder %v", f.loss, f.dup, f.reorder), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestPair(t, f, 1, Config{})
				defer p.close(t)
				client, server := p.connect(t, SocketConfig{})
				size := int64(4 << 20)
				if linktest.Race() {
					size = 1 << 20
				}
				start := time.Now()
				type result struct {
					sum [32]byte
					n   int64
					err error
				}
				// Both ways at once.
				results := make(chan result, 4)
				send := func(c *Conn, seed uint64) {
					h := sha256.New()
					n, err := io.Copy(c, io.TeeReader(pattern(seed, size), h))
					if err == nil {
						err = c.CloseWrite()
					}
					results <- result{[32]byte(h.Sum(nil)), n, err}
				}
				receive := func(c *Conn) {
					h := sha256.New()
					n, err := io.Copy(h, c)
					results <- result{[32]byte(h.Sum(nil)), n, err}
				}
				go send(client, 7)
				go send(server, 7)
				go receive(client)
				go receive(server)
				first := <-results
				for range 3 {
					r := <-results
					require.NoError(t, r.err)
					require.Equal(t, size, r.n)
					require.Equal(t, first.sum, r.sum)
				}
				p.wire.mu.Lock() // late packets are still under way
				sent, lost := p.wire.sent, p.wire.lost
				p.wire.mu.Unlock()
				t.Logf("%v of virtual time; %d packets, %d lost; retransmitted %d, timeouts %d", time.Since(start).Round(time.Millisecond),
					sent, lost, p.a.Stats()["TcpRetransSegs"]+p.b.Stats()["TcpRetransSegs"],
					p.a.Stats()["TcpExtTCPTimeouts"]+p.b.Stats()["TcpExtTCPTimeouts"])
				require.NoError(t, client.Close())
				require.NoError(t, server.Close())
			})
		})
	}
}

// TestTransferSockets moves data over connections of unusual shape.
func TestTransferSockets(t *testing.T) {
	for name, sc := range map[string]SocketConfig{
		"tiny MSS":         {MSS: 64},
		"no timestamps":    {NoTimestamps: true},
		"no scaling":       {NoScaling: true},
		"Nagle":            {Nagle: true},
		"small buffers":    {ReceiveBuffer: 4096, SendBuffer: 4096},
		"small receiver":   {ReceiveBuffer: 6000, NoScaling: true},
		"everything small": {ReceiveBuffer: 4096, SendBuffer: 4096, MSS: 300, NoScaling: true, NoTimestamps: true, Nagle: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestPair(t, faults{delay: 2 * time.Millisecond, loss: 0.02, dup: 0.01, reorder: 0.01}, 3, Config{})
				defer p.close(t)
				client, server := p.connect(t, sc)
				const size = 100_000
				want := sha256.New()
				go func() {
					io.Copy(client, io.TeeReader(pattern(9, size), want))
					client.CloseWrite()
				}()
				got := sha256.New()
				n, err := io.Copy(got, server)
				require.NoError(t, err)
				require.EqualValues(t, size, n)
				require.Equal(t, want.Sum(nil), got.Sum(nil))
				client.Close()
				server.Close()
			})
		})
	}
}

// TestManyConnections opens, uses and closes connections in every order over a
// bad line, and looks for what is left.
func TestManyConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPair(t, faults{delay: 3 * time.Millisecond, loss: 0.05, dup: 0.02, reorder: 0.05}, 5, Config{})
		defer p.close(t)
		// A reset may be lost; then only keepalive tells.
		sc := SocketConfig{KeepAlive: net.KeepAliveConfig{Enable: true, Idle: time.Minute}}
		l, err := p.b.Listen(p.listenAddr, sc)
		require.NoError(t, err)
		served := make(chan struct{})
		go func() {
			defer close(served)
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					io.Copy(c, c)
				}()
			}
		}()
		const conns, size = 200, 10_000
		errs := make(chan error, conns)
		for i := range conns {
			go func() {
				errs <- func() error {
					c, err := p.a.Dial(t.Context(), netip.AddrPort{}, p.listenAddr, SocketConfig{})
					if err != nil {
						return err
					}
					defer c.Close()
					sent, got := sha256.New(), sha256.New()
					done := make(chan error, 1)
					go func() {
						_, err := io.Copy(c, io.TeeReader(pattern(uint64(i), size), sent))
						if err == nil && i%3 != 0 {
							err = c.CloseWrite()
						}
						done <- err
					}()
					if i%7 == 0 { // leaves early
						time.Sleep(time.Duration(i) * time.Millisecond)
						return nil
					}
					n, err := io.CopyN(got, c, size)
					if err != nil {
						return fmt.Errorf("connection %d after %d bytes: %w", i, n, err)
					}
					if err := <-done; err != nil {
						return err
					}
					if !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
						return fmt.Errorf("connection %d: wrong bytes", i)
					}
					return nil
				}()
			}()
		}
		for range conns {
			require.NoError(t, <-errs)
		}
		require.NoError(t, l.Close())
		<-served
		time.Sleep(20 * time.Minute)
		for _, pr := range []*Protocol{p.a, p.b} {
			require.Empty(t, pr.Sockets())
			require.Zero(t, pr.Stats()["TcpCurrEstab"])
			require.Zero(t, pr.waits.n)
		}
		require.Zero(t, link.LivePackets())
	})
}

// A connection goes on after any number of octets, lost ones included.
func TestTransferBeyondSequenceSpace(t *testing.T) {
	for _, before := range []uint64{1<<31 - 300_000, 1 << 31, 3 << 30, 1<<32 - 300_000, 1 << 33} {
		t.Run(fmt.Sprintf("after %d bytes", before), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestPair(t, faults{delay: time.Millisecond, loss: 0.01}, 1, Config{})
				defer p.close(t)
				client, server := p.connect(t, SocketConfig{})
				time.Sleep(time.Second) // nothing is in flight
				client.mu.Lock()
				s := &client.snd
				s.buf.start, s.buf.end = before, before
				s.nxt = s.iss.Add(1 + int(before))
				s.ackedTo(&client.loss, s.nxt)
				client.loss.acked(&s.sent, s.una, 0, 0, &client.win)
				client.mu.Unlock()
				server.mu.Lock()
				r := &server.rcv
				r.edge = r.edge.Add(int(before))
				r.nxt = r.nxt.Add(int(before))
				server.ack.acked, server.snd.wl1 = r.nxt, r.nxt
				server.mu.Unlock()
				const size = 1 << 20
				go func() {
					_, _ = io.Copy(client, pattern(7, size))
					_ = client.CloseWrite()
				}()
				h, want := sha256.New(), sha256.New()
				n, err := io.Copy(h, server)
				require.NoError(t, err)
				require.EqualValues(t, size, n)
				_, _ = io.Copy(want, pattern(7, size))
				require.Equal(t, want.Sum(nil), h.Sum(nil))
			})
		})
	}
}
