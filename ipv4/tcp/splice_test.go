package tcp

import (
	"crypto/sha256"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

// What was given without a copy arrives as it was, however often it has to be
// sent, mixed with what was copied.
func TestWriteChunk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPair(t, faults{delay: 5 * time.Millisecond, loss: 0.02, reorder: 0.02}, 3, Config{})
		defer p.close(t)
		client, server := p.connect(t, SocketConfig{})
		want := sha256.New()
		go func() {
			k := link.NewChunk(link.MaxChunk)
			_, _ = io.ReadFull(pattern(5, link.MaxChunk), k.Bytes())
			for _, n := range []int{1, 100, 1448, 1449, 5000, 40_000, link.MaxChunk} {
				for from := 0; from+n <= link.MaxChunk && from < 20*n; from += n {
					b := k.Bytes()[from : from+n]
					want.Write(b)
					m, err := client.WriteChunk(k, b)
					if m != n || err != nil {
						t.Errorf("WriteChunk: %d of %d, %v", m, n, err)
					}
					want.Write(b[:1])
					_, _ = client.Write(b[:1])
				}
			}
			_ = client.CloseWrite()
			k.Release()
		}()
		got := sha256.New()
		_, err := io.Copy(got, server)
		require.NoError(t, err)
		require.Equal(t, want.Sum(nil), got.Sum(nil))
	})
}

// An echo by io.Copy hands over the memory of what it receives.
func TestSplice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPair(t, faults{delay: 5 * time.Millisecond, loss: 0.01}, 3, Config{})
		defer p.close(t)
		client, server := p.connect(t, SocketConfig{})
		go func() {
			_, _ = io.Copy(server, server)
			_ = server.CloseWrite()
		}()
		const size = 3 << 20
		want := sha256.New()
		go func() {
			_, _ = io.Copy(client, io.TeeReader(pattern(9, size), want))
			_ = client.CloseWrite()
		}()
		got := sha256.New()
		n, err := io.Copy(got, client)
		require.NoError(t, err)
		require.EqualValues(t, size, n)
		require.Equal(t, want.Sum(nil), got.Sum(nil))
	})
}

// A packet is written whole, between other writes.
func TestWritePacketIsContiguous(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPair(t, faults{delay: time.Millisecond}, 3, Config{})
		defer p.close(t)
		client, server := p.connect(t, SocketConfig{SendBuffer: 16 << 10})
		const rounds, large = 20, link.MaxChunk / 2
		done := make(chan error, 2)
		go func() {
			for range rounds {
				k := link.NewChunk(link.MaxChunk)
				for i := range k.Bytes() {
					k.Bytes()[i] = 'p'
				}
				q := link.NewPacketFrom([]byte("ppp"))
				q.Append(k, k.Bytes()[:large])
				n, err := client.WritePacket(q)
				if n != large+3 {
					t.Errorf("WritePacket: %d", n)
				}
				q.Release()
				if err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
		go func() {
			for range rounds {
				if _, err := client.Write([]byte("w")); err != nil {
					done <- err
					return
				}
				time.Sleep(time.Microsecond)
			}
			done <- nil
		}()
		go func() {
			for range 2 {
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
			_ = client.CloseWrite()
		}()
		b, err := io.ReadAll(server)
		require.NoError(t, err)
		require.Len(t, b, rounds*(large+3+1))
		run := 0
		for i, x := range b {
			if x == 'p' {
				run++
			} else {
				require.Zero(t, run%(large+3), "another write in the middle, at %d", i)
			}
		}
	})
}
