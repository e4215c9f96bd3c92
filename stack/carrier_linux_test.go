package stack_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/link/tap"
	"github.com/tapstack/tapstack/link/tap/taptest"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack"
)

// plugged is a host at 10.0.0.2 behind t0, whose kernel side is 10.0.0.1, and
// what it logs.
func plugged(t *testing.T) (*stack.Host, *stack.Interface, *journal) {
	t.Helper()
	linktest.WantNoPackets(t)
	taptest.Namespace(t)
	d, err := tap.Open(tap.Config{Name: "t0", Addr: link.Addr{2, 0, 0, 0, 0, 2}, Peer: netip.MustParsePrefix("10.0.0.1/24")})
	require.NoError(t, err)
	j := new(journal)
	h, err := stack.New(stack.Config{Logger: j.logger()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	i, err := h.AddInterface(stack.InterfaceConfig{Name: "t0", Device: d, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}})
	require.NoError(t, err)
	return h, i, j
}

// kernelSide sets the kernel's side up or down, and waits until the host has done
// what follows from it.
func kernelSide(t *testing.T, h *stack.Host, up bool) {
	t.Helper()
	require.NoError(t, tap.SetUp("t0", up))
	carrierBecomes(t, h, up)
}

func carrierBecomes(t *testing.T, h *stack.Host, on bool) {
	t.Helper()
	require.Eventually(t, func() bool { return h.Interface("t0").Carrier() == on }, 5*time.Second, time.Millisecond)
	require.NoError(t, h.SetMTU("t0", 1500), "one change follows the other: now this one is done")
}

// onT0 returns the last byte and the state of the entries on t0.
func onT0(h *stack.Host) []string {
	list := []string{}
	for e := range h.Neighbours().All() {
		if e.InterfaceName == "t0" && e.Type == neighbour.Unicast {
			list = append(list, fmt.Sprintf(".%d %v", e.IP.As4()[3], e.State))
		}
	}
	slices.Sort(list)
	return list
}

func TestKernelSideDown(t *testing.T) {
	for _, c := range []struct {
		name   string
		sysctl string
		want   []string
		proxy  []string
	}{
		{"NUD-55, evicted", "net.ipv4.conf.t0.arp_evict_nocarrier=1", []string{".20 PERMANENT", ".25 STALE"}, []string{"10.0.0.31"}},
		{"NUD-56, t0 keeps them", "net.ipv4.conf.t0.arp_evict_nocarrier=0", nil, nil},
		{"NUD-56, all interfaces keep them", "net.ipv4.conf.all.arp_evict_nocarrier=0", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, i, j := plugged(t)
			name, value, _ := strings.Cut(c.sysctl, "=")
			require.NoError(t, h.SetSysctl(name, value))
			n := h.Neighbours()
			for k, e := range []neighbour.Request{
				{State: neighbour.Permanent},
				{State: neighbour.NoARP},
				{State: neighbour.Stale},
				{State: neighbour.Reachable},
				{State: neighbour.Stale, Flags: neighbour.ExtLearned},
				{State: neighbour.Stale, Flags: neighbour.ExtValidated},
				{State: neighbour.Stale, Flags: neighbour.ISRouter},
			} {
				e.LLAddr, e.HasLLAddr, e.Create = link.Addr{2, 0, 0, 0, 1, byte(k)}, true, true
				require.NoError(t, n.Set(i.Index(), netip.AddrFrom4([4]byte{10, 0, 0, byte(20 + k)}), e))
			}
			for ip, permanent := range map[string]bool{"10.0.0.30": false, "10.0.0.31": true} {
				require.NoError(t, n.AddProxy(neighbour.Proxy{IP: netip.MustParseAddr(ip), Interface: i.Index(), Permanent: permanent}))
			}
			proxies := func() (list []string) {
				for _, p := range n.Proxies() {
					list = append(list, p.IP.String())
				}
				slices.Sort(list)
				return list
			}
			before := onT0(h)
			require.Len(t, before, 7)
			if c.want == nil {
				c.want, c.proxy = before, proxies()
			}

			start := time.Now()
			kernelSide(t, h, false)
			require.Less(t, time.Since(start), time.Second, "DEV-7: at once")
			require.Equal(t, c.want, onT0(h))
			require.Equal(t, c.proxy, proxies())
			require.True(t, i.Up(), "which is another thing")
			kernelSide(t, h, true)
			require.Equal(t, c.want, onT0(h), "NUD-57: nothing is revived")
			require.Equal(t, c.proxy, proxies())
			require.Equal(t, []string{`INFO msg="interface has lost its carrier" name=t0`, `INFO msg="interface has carrier" name=t0`}, j.lines())
		})
	}
}

// Frames without a carrier are counted once each, and nobody hears of them; when
// it is back, the neighbour is asked for anew.
func TestKernelSideDownAndUpUnderTraffic(t *testing.T) {
	h, i, j := plugged(t)
	require.NoError(t, h.SetSysctl("net.ipv4.conf.t0.arp_notify", "1"))
	in, err := net.ListenPacket("udp4", "10.0.0.1:7000")
	require.NoError(t, err)
	defer in.Close()
	out, err := h.Dial("udp", "10.0.0.1:7000")
	require.NoError(t, err)
	defer out.Close()
	arrives := func(s string) {
		t.Helper()
		_, err := out.Write([]byte(s))
		require.NoError(t, err)
		require.NoError(t, in.SetReadDeadline(time.Now().Add(5*time.Second)))
		b := make([]byte, 100)
		n, _, err := in.ReadFrom(b)
		require.NoError(t, err)
		require.Equal(t, s, string(b[:n]))
	}
	arrives("before")
	requests := &h.ARP().Stats.OutRequests
	require.EqualValues(t, 1, requests.Load())
	require.Equal(t, []string{".1 REACHABLE"}, onT0(h))

	kernelSide(t, h, false)
	require.Empty(t, onT0(h))
	// An entry that is valid, so that each datagram is offered to the device.
	nobody := neighbour.Request{LLAddr: link.Addr{2, 9}, HasLLAddr: true, State: neighbour.Permanent, Create: true}
	require.NoError(t, h.Neighbours().Set(i.Index(), netip.MustParseAddr("10.0.0.9"), nobody))
	lost, err := h.Dial("udp", "10.0.0.9:7000")
	require.NoError(t, err)
	defer lost.Close()
	sent, drops := i.Stats().TxPackets.Load(), h.Drops().Counts()
	for range 100 {
		_, err := lost.Write([]byte("lost"))
		require.NoError(t, err)
	}
	require.Equal(t, sent, i.Stats().TxPackets.Load())
	require.EqualValues(t, 100, i.Stats().TxDropped.Load())
	require.EqualValues(t, 100, h.Drops().Count(link.DevReady))
	drops["DEV_READY"] += 100
	require.Equal(t, drops, h.Drops().Counts(), "and for no other reason")
	require.Len(t, j.lines(), 1, "that the carrier went")

	kernelSide(t, h, true)
	require.Equal(t, []string{".9 PERMANENT"}, onT0(h))
	require.EqualValues(t, 1, requests.Load(), "OUT-13: nothing is announced")
	arrives("after")
	require.EqualValues(t, 2, requests.Load())
	require.Len(t, j.lines(), 2)
}

// L3-8: without a carrier resolution runs, and fails in its time.
func TestKernelSideDownResolution(t *testing.T) {
	h, _, _ := plugged(t)
	require.NoError(t, h.SetSysctl("net.ipv4.neigh.t0.retrans_time_ms", "100"))
	kernelSide(t, h, false)
	start := time.Now()
	_, err := h.Dial("tcp", "10.0.0.1:80")
	require.ErrorIs(t, err, syscall.EHOSTUNREACH)
	require.GreaterOrEqual(t, time.Since(start), 300*time.Millisecond)
	require.Equal(t, []string{".1 FAILED"}, onT0(h))
}

// The kernel's side is removed underneath: said once, lost for good, and no
// reason to fail.
func TestKernelSideRemoved(t *testing.T) {
	needTools(t, "ip")
	h, i, j := plugged(t)
	stale := neighbour.Request{LLAddr: link.Addr{2, 9}, HasLLAddr: true, State: neighbour.Reachable, Create: true}
	require.NoError(t, h.Neighbours().Set(i.Index(), netip.MustParseAddr("10.0.0.9"), stale))
	removed, err := exec.Command("ip", "link", "del", "t0").CombinedOutput()
	require.NoError(t, err, "%s", removed)
	carrierBecomes(t, h, false)
	require.Empty(t, onT0(h))
	require.Eventually(t, func() bool { return len(j.lines()) == 2 }, 5*time.Second, time.Millisecond)
	require.ElementsMatch(t, []string{
		`INFO msg="interface has lost its carrier" name=t0`,
		`ERROR msg="interface cannot be read any more" name=t0 err="tap: t0 was removed: file descriptor in bad state"`,
	}, j.lines())

	require.NoError(t, h.Neighbours().Set(i.Index(), netip.MustParseAddr("10.0.0.9"), stale))
	out, err := h.Dial("udp", "10.0.0.9:7000")
	require.NoError(t, err)
	defer out.Close()
	before := h.Drops().Count(link.DevReady)
	for range 10 {
		_, err := out.Write([]byte("lost"))
		require.NoError(t, err)
	}
	require.EqualValues(t, 10, h.Drops().Count(link.DevReady)-before)

	var used syscall.Rusage
	cpu := func() time.Duration {
		require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
		return time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	start := cpu()
	time.Sleep(200 * time.Millisecond) // a loop that does not wait would have used them
	require.Less(t, cpu()-start, 100*time.Millisecond)
	require.Len(t, j.lines(), 2)
}

// Close while the carrier comes and goes.
func TestKernelSideChangesAtClose(t *testing.T) {
	linktest.WantNoPackets(t)
	ns := taptest.Namespace(t)
	for n := range 20 {
		h, err := stack.New(stack.Config{})
		require.NoError(t, err)
		d, err := tap.Open(tap.Config{Name: "t0"})
		require.NoError(t, err)
		_, err = h.AddInterface(stack.InterfaceConfig{Name: "t0", Device: d, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}})
		require.NoError(t, err)
		var wg sync.WaitGroup
		wg.Go(func() {
			ns.Do(func() {
				for range n {
					// Until the device is gone.
					_ = tap.SetUp("t0", false)
					_ = tap.SetUp("t0", true)
				}
			})
		})
		if n%2 == 0 {
			require.NoError(t, h.RemoveInterface("t0"))
		}
		require.NoError(t, h.Close())
		wg.Wait()
	}
}

// Fifty hosts, one after the other, leave nothing behind.
func TestHostsOnTAPsLeaveNothing(t *testing.T) {
	linktest.WantNoPackets(t)
	taptest.Namespace(t)
	files := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		require.NoError(t, err)
		return len(list)
	}
	sockets := func() int {
		b, err := os.ReadFile("/proc/thread-self/net/netlink")
		require.NoError(t, err)
		n := 0
		for l := range strings.Lines(string(b)) {
			if f := strings.Fields(l); len(f) > 2 && f[1] == "0" && f[2] != "0" { // NETLINK_ROUTE, but the kernel's own
				n++
			}
		}
		return n
	}
	once := func() {
		h, err := stack.New(stack.Config{})
		require.NoError(t, err)
		d, err := tap.Open(tap.Config{Name: "t0", Peer: netip.MustParsePrefix("10.0.0.1/24")})
		require.NoError(t, err)
		_, err = h.AddInterface(stack.InterfaceConfig{Name: "t0", Device: d, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}})
		require.NoError(t, err)
		require.Equal(t, 2, sockets(), "this would notice")
		require.NoError(t, h.Close())
	}
	once() // what the runtime and the kernel make once
	f, g := files(), runtime.NumGoroutine()
	for range 50 {
		once()
	}
	require.Zero(t, sockets())
	require.LessOrEqual(t, files(), f) // fewer, when another test's are closed meanwhile
	require.LessOrEqual(t, runtime.NumGoroutine(), g)
}
