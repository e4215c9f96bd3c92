package stack_test

import (
	"context"
	"crypto/sha256"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/tap"
	"github.com/tapstack/tapstack/link/tap/taptest"
	"github.com/tapstack/tapstack/stack"
)

// A host between two kernels forwards TCP of theirs: in super-segments where the
// other device takes them, in single segments where it does not, or has a smaller
// MTU.
func TestKernelForwarding(t *testing.T) {
	for _, c := range []struct {
		name    string
		offload tap.Offload // of the receiver's side
		mtu     int
		whole   bool
	}{
		{"both with offloads", tap.OffloadAuto, 1500, true},
		{"to plain frames", tap.OffloadOff, 1500, false},
		{"to a smaller MTU", tap.OffloadAuto, 1300, true},
		{"to plain frames and a smaller MTU", tap.OffloadOff, 1300, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, err := stack.New(stack.Config{})
			require.NoError(t, err)
			t.Cleanup(func() {
				require.NoError(t, h.Close())
				require.Zero(t, link.LivePackets())
			})
			require.NoError(t, h.SetSysctl("net.ipv4.ip_forward", "1"))
			side := func(name, kernel, own string, mtu int, offload tap.Offload) *taptest.Netns {
				ns := taptest.Namespace(t)
				d, err := tap.Open(tap.Config{Name: name, MTU: mtu, Peer: netip.MustParsePrefix(kernel), Offload: offload})
				require.NoError(t, err)
				p := netip.MustParsePrefix(own)
				_, err = h.AddInterface(stack.InterfaceConfig{Name: name, Device: d, Addrs: []netip.Prefix{p}})
				require.NoError(t, err)
				out, err := exec.Command("ip", "route", "add", "default", "via", p.Addr().String()).CombinedOutput()
				if err != nil {
					t.Skipf("no iproute2: %s", out)
				}
				return ns
			}
			a := side("t0", "10.1.0.1/24", "10.1.0.2/24", 1500, tap.OffloadAuto)
			b := side("t1", "10.2.0.1/24", "10.2.0.2/24", c.mtu, c.offload)

			var l net.Listener
			b.Do(func() { l, err = net.Listen("tcp4", "10.2.0.1:9000") })
			require.NoError(t, err)
			defer l.Close()
			const size = 8 << 20
			type result struct {
				sum [32]byte
				err error
			}
			results := make(chan result, 1)
			go func() {
				hash := sha256.New()
				in, err := l.Accept()
				if err == nil {
					_, err = io.Copy(hash, in)
					in.Close()
				}
				results <- result{[32]byte(hash.Sum(nil)), err}
			}()
			out, err := kernelDial(a)(context.Background(), "tcp4", "10.2.0.1:9000")
			require.NoError(t, err)
			hash := sha256.New()
			p := pattern(size)
			_, err = io.Copy(out, io.TeeReader(&p, hash))
			require.NoError(t, err)
			require.NoError(t, out.Close())
			r := <-results
			require.NoError(t, r.err)
			require.Equal(t, [32]byte(hash.Sum(nil)), r.sum)

			st := h.Interface("t1").Stats()
			mean := st.TxBytes.Load() / st.TxPackets.Load()
			if c.whole && h.Interface("t1").Features()&link.TCPSegmentation != 0 {
				require.Greater(t, mean, uint64(5000), "bytes in a frame")
			} else {
				require.LessOrEqual(t, mean, uint64(c.mtu+14))
			}
		})
	}
}
