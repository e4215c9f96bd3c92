package stack_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"sync"
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

// recorder keeps the TCP packets that pass a device, without the parts of their
// headers that a router changes.
type recorder struct {
	*tap.Device
	mu      sync.Mutex
	in, out [][]byte
}

func (r *recorder) Read() (*link.Packet, error) {
	p, err := r.Device.Read()
	if err == nil {
		r.record(&r.in, p)
	}
	return p, err
}

func (r *recorder) Write(p *link.Packet) error {
	r.record(&r.out, p)
	return r.Device.Write(p)
}

func (r *recorder) record(list *[][]byte, p *link.Packet) {
	b := bytes.Clone(p.Bytes())
	if h, n, err := link.ParseEthernet(b); err == nil && h.Type == link.IPv4 && b[n+9] == 6 {
		b = b[n:]
		b[8], b[10], b[11] = 0, 0, 0
		r.mu.Lock()
		defer r.mu.Unlock()
		*list = append(*list, b)
	}
}

// What GRO put together leaves a router bit for bit as it came, in the same order.
func TestKernelForwardingUndoesGRO(t *testing.T) {
	h, err := stack.New(stack.Config{})
	require.NoError(t, err)
	t.Cleanup(func() {
		require.NoError(t, h.Close())
		require.Zero(t, link.LivePackets())
	})
	require.NoError(t, h.SetSysctl("net.ipv4.ip_forward", "1"))
	side := func(name, kernel, own string) (*taptest.Netns, *recorder) {
		ns := taptest.Namespace(t)
		d, err := tap.Open(tap.Config{Name: name, Peer: netip.MustParsePrefix(kernel), Offload: tap.OffloadOff})
		require.NoError(t, err)
		r := &recorder{Device: d}
		p := netip.MustParsePrefix(own)
		i, err := h.AddInterface(stack.InterfaceConfig{Name: name, Device: r, Addrs: []netip.Prefix{p}})
		require.NoError(t, err)
		require.Equal(t, "gro", i.Features().String())
		out, err := exec.Command("ip", "route", "add", "default", "via", p.Addr().String()).CombinedOutput()
		if err != nil {
			t.Skipf("no iproute2: %s", out)
		}
		return ns, r
	}
	a, ra := side("t0", "10.1.0.1/24", "10.1.0.2/24")
	b, rb := side("t1", "10.2.0.1/24", "10.2.0.2/24")
	var l net.Listener
	b.Do(func() { l, err = net.Listen("tcp4", "10.2.0.1:9000") })
	require.NoError(t, err)
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		in, err := l.Accept()
		if err == nil {
			_, err = io.Copy(in, in) // and back
			in.Close()
		}
		done <- err
	}()
	out, err := kernelDial(a)(context.Background(), "tcp4", "10.2.0.1:9000")
	require.NoError(t, err)
	sent, got := sha256.New(), sha256.New()
	read := make(chan error, 1)
	go func() { _, err := io.Copy(got, out); read <- err }()
	p := pattern(4 << 20)
	_, err = io.Copy(out, io.TeeReader(&p, sent))
	require.NoError(t, err)
	require.NoError(t, out.(*net.TCPConn).CloseWrite())
	require.NoError(t, <-read)
	require.NoError(t, <-done)
	require.Equal(t, sent.Sum(nil), got.Sum(nil))
	out.Close()
	rx := h.Interface("t0").Stats().RxPackets.Load() + h.Interface("t1").Stats().RxPackets.Load()
	require.NoError(t, h.Close()) // nothing moves any more
	require.Less(t, h.IPv4().Stats().InReceives.Load(), rx*2/3, "they were put together")
	for _, c := range []struct{ in, out [][]byte }{{ra.in, rb.out}, {rb.in, ra.out}} {
		n := min(len(c.in), len(c.out)) // the end may have come between
		require.Greater(t, n, 1000)
		for i := range n {
			require.Equal(t, c.in[i], c.out[i], "packet %d", i)
		}
	}
}
