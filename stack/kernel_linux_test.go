package stack_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/fault"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/link/tap"
	"github.com/tapstack/tapstack/link/tap/taptest"
	"github.com/tapstack/tapstack/stack"
	"github.com/tapstack/tapstack/stack/random"
)

// onTAP is a host at 10.0.0.2 behind a TAP whose kernel side, 10.0.0.1, is in a
// namespace of the test's own. wrap may be nil.
func onTAP(t testing.TB, wrap func(link.Device) link.Device) (*stack.Host, *taptest.Netns) {
	return onTAPWith(t, tap.OffloadAuto, wrap)
}

func onTAPWith(t testing.TB, offload tap.Offload, wrap func(link.Device) link.Device) (*stack.Host, *taptest.Netns) {
	return onTAPWithout(t, offload, false, wrap)
}

func onTAPWithout(t testing.TB, offload tap.Offload, noGRO bool, wrap func(link.Device) link.Device) (*stack.Host, *taptest.Netns) {
	ns := taptest.Namespace(t)
	d, err := tap.Open(tap.Config{Name: "t0", Addr: link.Addr{2, 0, 0, 0, 0, 2}, Peer: netip.MustParsePrefix("10.0.0.1/24"), Offload: offload})
	require.NoError(t, err)
	var dev link.Device = d
	if wrap != nil {
		dev = wrap(dev)
	}
	h, err := stack.New(stack.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	_, err = h.AddInterface(stack.InterfaceConfig{Name: "t0", Device: dev, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}, NoGRO: noGRO})
	require.NoError(t, err)
	return h, ns
}

func lossy(d link.Device) link.Device {
	f := fault.Faults{Loss: 0.01}
	return fault.New(d, fault.Config{Rand: random.New(42), In: f, Out: f})
}

// kernelDial connects from the kernel's side of the TAP.
func kernelDial(ns *taptest.Netns) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (c net.Conn, err error) {
		ns.Do(func() { c, err = (&net.Dialer{}).DialContext(ctx, network, addr) })
		return c, err
	}
}

// The kernel's TCP and ours, with 1 % of the frames lost each way: a thousand
// requests at once, and not a byte wrong.
func TestKernelParallelHTTPWithLoss(t *testing.T) {
	h, ns := onTAP(t, lossy)
	l, err := h.Listen("tcp", ":80")
	require.NoError(t, err)
	const size = 100_000
	// Each request has a different piece of the same block, so that making
	// bodies takes no time from the stack.
	requests := 1000
	if linktest.Race() {
		requests = 200 // the same, in the time of a test
	}
	p := pattern(size + 96*requests)
	block, err := io.ReadAll(&p)
	require.NoError(t, err)
	body := func(n int) []byte { return block[96*n:][:size] }
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var n int
		fmt.Sscanf(r.URL.Path, "/%d", &n)
		w.Write(body(n))
	})}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()

	tr := &http.Transport{DialContext: kernelDial(ns), DisableKeepAlives: true}
	client := &http.Client{Transport: tr, Timeout: 2 * time.Minute}
	var wg sync.WaitGroup
	errs := make(chan error, requests)
	for n := range requests {
		wg.Go(func() {
			errs <- func() error {
				resp, err := client.Get(fmt.Sprintf("http://10.0.0.2/%d", n))
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				got, err := io.ReadAll(resp.Body)
				if err != nil {
					return err
				}
				if sha256.Sum256(got) != sha256.Sum256(body(n)) {
					return fmt.Errorf("request %d: %d bytes, and not the right ones", n, len(got))
				}
				return nil
			}()
		})
	}
	wg.Wait()
	for range requests {
		require.NoError(t, <-errs)
	}
	srv.Close()
	<-served
}

// A large transfer each way at once on one connection.
func TestKernelBulkBothWays(t *testing.T) {
	for _, c := range []struct {
		name    string
		offload tap.Offload
		noGRO   bool
		wrap    func(link.Device) link.Device
	}{
		{"offloads", tap.OffloadAuto, false, nil},
		{"offloads, loss", tap.OffloadAuto, false, lossy},
		{"plain frames", tap.OffloadOff, false, nil},
		{"plain frames, no GRO", tap.OffloadOff, true, nil},
		{"plain frames, loss", tap.OffloadOff, false, lossy},
		{"offloads, bit errors", tap.OffloadAuto, false, func(d link.Device) link.Device {
			f := fault.Faults{Corrupt: 0.01}
			return fault.New(d, fault.Config{Rand: random.New(42), In: f, Out: f})
		}},
	} {
		t.Run(c.name, func(t *testing.T) { bulkBothWays(t, c.offload, c.noGRO, c.wrap) })
	}
}

func bulkBothWays(t *testing.T, offload tap.Offload, noGRO bool, wrap func(link.Device) link.Device) {
	h, ns := onTAPWithout(t, offload, noGRO, wrap)
	l, err := h.Listen("tcp", ":9000")
	require.NoError(t, err)
	defer l.Close()
	size := 20 << 20
	if testing.Short() {
		size = 2 << 20
	}
	type sums struct {
		sent, got [32]byte
		err       error
	}
	exchange := func(c net.Conn) (s sums) {
		defer c.Close()
		sent, got := sha256.New(), sha256.New()
		read := make(chan error, 1)
		go func() { _, err := io.Copy(got, c); read <- err }()
		p := pattern(size)
		_, s.err = io.Copy(c, io.TeeReader(&p, sent))
		if err := c.(interface{ CloseWrite() error }).CloseWrite(); s.err == nil {
			s.err = err
		}
		if err := <-read; s.err == nil {
			s.err = err
		}
		s.sent, s.got = [32]byte(sent.Sum(nil)), [32]byte(got.Sum(nil))
		return s
	}
	ours := make(chan sums, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			ours <- sums{err: err}
			return
		}
		ours <- exchange(c)
	}()
	c, err := kernelDial(ns)(context.Background(), "tcp", "10.0.0.2:9000")
	require.NoError(t, err)
	k := exchange(c)
	o := <-ours
	require.NoError(t, k.err, "the kernel's side")
	require.NoError(t, o.err, "our side")
	require.Equal(t, k.sent, o.got, "what the kernel sent")
	require.Equal(t, o.sent, k.got, "what we sent")
}

// Datagrams that wait for resolution arrive at the kernel in order, and to a
// neighbour that is not there the socket says so.
func TestKernelDatagrams(t *testing.T) {
	h, ns := onTAP(t, nil)
	var in net.PacketConn
	var err error
	ns.Do(func() { in, err = net.ListenPacket("udp4", "10.0.0.1:7000") })
	require.NoError(t, err)
	defer in.Close()
	out, err := h.Dial("udp", "10.0.0.1:7000")
	require.NoError(t, err)
	defer out.Close()
	for n := range 10 {
		fmt.Fprintf(out, "datagram %d", n)
	}
	in.SetReadDeadline(time.Now().Add(10 * time.Second))
	b := make([]byte, 100)
	for n := range 10 {
		k, _, err := in.ReadFrom(b)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprintf("datagram %d", n), string(b[:k]))
	}
	require.EqualValues(t, 1, h.ARP().Stats.OutRequests.Load(), "one exchange of ARP")

	// Done before the SYN is due again, which would ask anew.
	require.NoError(t, h.SetSysctl("net.ipv4.neigh.t0.retrans_time_ms", "300"))
	start := time.Now()
	_, err = h.Dial("tcp", "10.0.0.99:80")
	require.ErrorIs(t, err, syscall.EHOSTUNREACH)
	require.GreaterOrEqual(t, time.Since(start), 900*time.Millisecond, "after three requests")
	require.EqualValues(t, 4, h.ARP().Stats.OutRequests.Load())
}
