package tcp

import (
	"crypto/sha256"
	"fmt"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/linktest"
)

// transferOver moves size bytes over a wire with faults and returns how long
// that took in virtual time, and the counters of the sender.
func transferOver(t *testing.T, f faults, drop func(from *testIP, h Header, payload []byte) bool, seed uint64, size int64, sc SocketConfig) (took time.Duration, sent map[string]uint64) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		p := newTestPair(t, f, seed, Config{})
		defer p.close(t)
		p.wire.drop = drop
		client, server := p.connect(t, sc)
		start := time.Now()
		want := sha256.New()
		go func() {
			_, _ = io.Copy(client, io.TeeReader(pattern(seed, size), want))
			_ = client.CloseWrite()
		}()
		got := sha256.New()
		n, err := io.Copy(got, server)
		require.NoError(t, err)
		require.Equal(t, size, n)
		require.Equal(t, want.Sum(nil), got.Sum(nil))
		took, sent = time.Since(start), p.a.Stats()
		checkScoreboard(t, client)
		_ = client.Close()
		_ = server.Close()
	})
	return took, sent
}

// checkScoreboard compares the sums of a connection with its segments.
func checkScoreboard(t *testing.T, c *Conn) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loss.check(t, &c.snd.sent)
}

func (l *loss) check(t *testing.T, q *sentQueue) {
	t.Helper()
	lost, sacked, retrans := 0, 0, 0
	for i := range q.len() {
		x := q.at(i)
		require.Positive(t, x.len())
		if i > 0 {
			require.Equal(t, q.at(i-1).end, x.start)
		}
		switch {
		case x.sacked:
			require.False(t, x.lost || x.retrans)
			sacked += x.len()
		case x.lost:
			require.False(t, x.retrans)
			lost += x.len()
		case x.retrans:
			retrans += x.len()
		}
	}
	require.EqualValues(t, lost, l.lost)
	if l.r != nil {
		require.Equal(t, sacked, l.r.sacked)
		require.Equal(t, retrans, l.r.retrans)
	} else {
		require.Zero(t, sacked)
	}
	require.GreaterOrEqual(t, l.flight(q, 1), 0)
}

// TestGoodputWithSACK compares with and without SACK on the same wires, for an
// algorithm whose rate depends on little else.
func TestGoodputWithSACK(t *testing.T) {
	const rtt = 20 * time.Millisecond
	size := int64(8 << 20)
	if linktest.Race() {
		size = 1 << 20
	}
	for _, c := range []struct {
		f    faults
		gain float64 // how many times faster than NewReno at least
	}{
		// With single losses both run at what additive increase and
		// multiplicative decrease allow, MSS/RTT*sqrt(1.5/p): NewReno repairs
		// one loss in a window as fast as anybody.
		{faults{loss: 0.001}, 0.7},
		{faults{loss: 0.01}, 0.85},
		{faults{loss: 0.03}, 0.95},
		{faults{loss: 0.1}, 1.5},
		{faults{reorder: 0.05}, 10},
		{faults{dup: 0.05}, 0.8},
		{faults{loss: 0.01, reorder: 0.02, dup: 0.01}, 1.2},
	} {
		t.Run(fmt.Sprintf("loss %v reorder %v dup %v", c.f.loss, c.f.reorder, c.f.dup), func(t *testing.T) {
			c.f.delay = rtt / 2
			var with, without time.Duration
			seeds := uint64(3)
			if linktest.Race() {
				seeds = 1
			}
			for seed := range seeds {
				d, n := transferOver(t, c.f, nil, seed+1, size, SocketConfig{Congestion: nameReno})
				with += d
				t.Logf("SACK %v: %v", d, notable(n))
				d, n = transferOver(t, c.f, nil, seed+1, size, SocketConfig{NoSACK: true, Congestion: nameReno})
				without += d
				t.Logf("no SACK %v: %v", d, notable(n))
			}
			gain := float64(without) / float64(with)
			t.Logf("%.2f times as fast", gain)
			if !linktest.Race() {
				require.GreaterOrEqual(t, gain, c.gain)
			}
		})
	}
}

// TestBurstLoss loses a tenth of a window at once: a round trip for NewReno for
// each segment of it, one for SACK.
func TestBurstLoss(t *testing.T) {
	took := func(sc SocketConfig) time.Duration {
		var first, top Seq
		seen, left := 0, 0
		d, n := transferOver(t, faults{delay: 10 * time.Millisecond}, func(_ *testIP, h Header, payload []byte) bool {
			if len(payload) == 0 {
				return false
			}
			if seen++; seen == 1 {
				first, top = h.Seq, h.Seq
			}
			again := h.Seq.Less(top)
			top = maxSeq(top, h.Seq)
			if seen%800 == 0 && h.Seq.Sub(first) > 0 {
				left = 20
			}
			if left == 0 || again {
				return false
			}
			left--
			return true
		}, 1, 8<<20, sc)
		t.Logf("%v: %v", d, notable(n))
		return d
	}
	require.Greater(t, float64(took(SocketConfig{NoSACK: true, Congestion: nameReno})), 2*float64(took(SocketConfig{})))
}

func notable(n map[string]uint64) map[string]uint64 {
	m := make(map[string]uint64)
	for name, v := range n {
		if v > 0 && len(name) > 10 && name[:9] == "TcpExtTCP" {
			m[name[9:]] = v
		}
	}
	m["retrans"] = n["TcpRetransSegs"]
	return m
}
