package tcp

import (
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

func TestRcvTune(t *testing.T) {
	const rtt = 100 * time.Millisecond
	start := func() (*rcvTune, moment) {
		return &rcvTune{seq: 0xffff_f000, at: 1, space: 10_000, rtt: rtt, merged: true}, 1
	}
	t.Run("doubles what is read in a round trip", func(t *testing.T) {
		r, at := start()
		seq, limit := r.seq, 128<<10
		for range 12 { // slow start of the peer, whose reader keeps up
			n := min(2*r.space, limit)
			seq, at = seq.Add(n), at+moment(rtt)
			limit = max(limit, r.adjust(seq, 1000, 6<<20, at))
			require.GreaterOrEqual(t, limit, min(2*n, 6<<20), "there is always room for twice as much")
		}
		require.Equal(t, 6<<20, limit, "up to tcp_rmem[2]")
	})
	t.Run("measures whole round trips", func(t *testing.T) {
		r, at := start()
		require.Zero(t, r.adjust(r.seq.Add(1<<20), 1000, 6<<20, at+moment(rtt)-1))
		require.NotZero(t, r.adjust(r.seq.Add(1<<20), 1000, 6<<20, at+moment(rtt)))
	})
	t.Run("a slow reader gets no more", func(t *testing.T) {
		r, at := start()
		for i := range 10 {
			require.Zero(t, r.adjust(r.seq.Add(10_000), 1000, 6<<20, at+moment(rtt)*moment(i+1)))
		}
	})
	t.Run("plain frames have to fit the device's queue", func(t *testing.T) {
		r, at := start()
		r.merged = false
		require.Equal(t, maxPlainWindow, r.adjust(r.seq.Add(5<<20), 1000, 6<<20, at+moment(rtt)))
	})
	t.Run("one sample for one ACK of ours", func(t *testing.T) {
		r := &rcvTune{}
		r.sample(5, 80*time.Millisecond)
		require.Equal(t, 80*time.Millisecond, r.rtt)
		r.sample(5, time.Second)
		require.Equal(t, 80*time.Millisecond, r.rtt)
		r.sample(6, 160*time.Millisecond)
		require.Equal(t, 90*time.Millisecond, r.rtt)
	})
}

// A stream over a long path fills it only if the buffer grows.
func TestAutotuning(t *testing.T) {
	for _, x := range []struct {
		name   string
		config Config
		socket SocketConfig
		grows  bool
	}{
		{"default", Config{}, SocketConfig{}, true},
		{"tcp_moderate_rcvbuf=0", Config{NoModerateReceiveBuffer: true}, SocketConfig{}, false},
		{"the user's size", Config{}, SocketConfig{ReceiveBuffer: 100_000}, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newTestPair(t, faults{delay: 50 * time.Millisecond}, 1, x.config)
				defer p.close(t)
				client, server := p.connect(t, x.socket)
				before := server.Info().RcvBuf
				const size = 8 << 20
				go func() {
					io.Copy(client, pattern(7, size))
					client.CloseWrite()
				}()
				start := time.Now()
				var info Info
				buf := make([]byte, 64<<10)
				total := 0
				for {
					n, err := server.Read(buf)
					total += n
					if err == io.EOF {
						break
					}
					require.NoError(t, err)
					if total > size/2 {
						info = server.Info()
					}
				}
				require.EqualValues(t, size, total)
				rate := fmt.Sprintf("%.0f kB/s", size/time.Since(start).Seconds()/1000)
				t.Log(rate, info.RcvBuf, info.RcvRTT, info.RcvSpace)
				if x.grows {
					require.Equal(t, maxPlainWindow, info.RcvBuf)
					require.InDelta(t, 100*time.Millisecond, info.RcvRTT, float64(2*time.Millisecond))
					require.Less(t, time.Since(start), 2500*time.Millisecond)
				} else {
					require.Equal(t, before, info.RcvBuf)
					require.Greater(t, time.Since(start), 5*time.Second)
				}
				client.Close()
				server.Close()
			})
		})
	}
}

// Short packets cost more than their payload: they close the window sooner.
func TestWindowByCost(t *testing.T) {
	for _, x := range []struct{ size, want int }{{1448, 100_000 - 20*1448}, {600, 100_000 - 20*2304/3}} {
		r := receiver{limit: 100_000, scale: 7}
		for range 20 {
			r.queue.push(link.NewPacket(x.size))
		}
		require.Equal(t, x.want, r.free(), "20 packets of %d bytes", x.size)
		r.release()
		require.Equal(t, 100_000, r.free())
	}
}
