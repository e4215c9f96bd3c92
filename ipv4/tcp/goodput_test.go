package tcp

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/linktest"
)

var updateGoodput = flag.Bool("update-goodput", false, "write testdata/goodput.txt anew")

// goodput returns the kilobytes a second that a reader gets in virtual time over a
// path of 100 Mbit/s and that round trip, with a queue of a tenth of a second, and how
// much was retransmitted.
func goodput(t *testing.T, congestion string, loss float64, rtt time.Duration) (rate float64, retransmitted uint64) {
	synctest.Test(t, func(t *testing.T) {
		const bottleneck = 100e6 / 8
		p := newTestPair(t, faults{loss: loss, delay: rtt / 2, rate: bottleneck, queue: bottleneck / 10}, 1, Config{Congestion: congestion})
		defer p.close(t)
		// SYNs that are lost tell nothing of what is measured.
		p.wire.faults.loss = 0
		client, server := p.connect(t, SocketConfig{})
		p.wire.mu.Lock()
		p.wire.faults.loss = loss
		p.wire.mu.Unlock()
		const size = 4 << 20
		go func() {
			_, _ = io.Copy(client, io.LimitReader(zeros{}, size))
			_ = client.Close()
		}()
		start := time.Now()
		n, err := io.Copy(io.Discard, server)
		require.NoError(t, err)
		require.EqualValues(t, size, n)
		rate = size / time.Since(start).Seconds() / 1000
		retransmitted = p.a.Stats()["TcpRetransSegs"]
		_ = server.Close()
	})
	return rate, retransmitted
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// TestGoodput compares the goodput on good and bad paths with a table. What makes a
// cell worse by a quarter fails; what makes it better asks for a new table:
//
//	go test -run TestGoodput -update-goodput ./ipv4/tcp
func TestGoodput(t *testing.T) {
	if testing.Short() || linktest.Race() {
		t.Skip("a minute of virtual time for each cell")
	}
	const file = "testdata/goodput.txt"
	want := make(map[string]float64)
	if b, err := os.ReadFile(file); err == nil {
		for line := range strings.Lines(string(b)) {
			var cc, loss, rtt string
			var rate float64
			if n, _ := fmt.Sscan(line, &cc, &loss, &rtt, &rate); n == 4 {
				want[cc+" "+loss+" "+rtt] = rate
			}
		}
	}
	var out strings.Builder
	out.WriteString("# cc loss rtt kB/s retransmitted: 4 MiB over 100 Mbit/s, seed 1\n")
	for _, cc := range CongestionControls() {
		for _, loss := range []float64{0, 0.001, 0.01, 0.03} {
			for _, rtt := range []time.Duration{time.Millisecond, 20 * time.Millisecond, 200 * time.Millisecond} {
				rate, again := goodput(t, cc, loss, rtt)
				key := fmt.Sprintf("%s %g%% %v", cc, 100*loss, rtt)
				fmt.Fprintf(&out, "%s %.0f %d\n", key, rate, again)
				if *updateGoodput {
					continue
				}
				require.Contains(t, want, key, "run with -update-goodput")
				if rate < 0.75*want[key] {
					t.Errorf("%s: %.0f kB/s, the table has %.0f", key, rate, want[key])
				} else if rate > 1.34*want[key] {
					t.Logf("%s: %.0f kB/s, the table has only %.0f: write it anew", key, rate, want[key])
				}
			}
		}
	}
	t.Log("\n" + out.String())
	if *updateGoodput {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, []byte(out.String()), 0o644))
	}
}
