package stack_test

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4/udp"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/link/tap"
	"github.com/tapstack/tapstack/link/tap/taptest"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack"
)

// crowd is any number of hosts on the kernel's side of a TAP: a packet socket
// that answers for every address and counts the datagrams that come for each.
// The kernel's interface has no address and takes no part, for its own table
// belongs to the whole machine.
type crowd struct {
	t      *testing.T
	fd     int
	own    link.Addr // the station's
	done   sync.WaitGroup
	closed atomic.Bool

	mu        sync.Mutex
	requests  map[netip.Addr]int // for each of the crowd
	replies   map[netip.Addr]int // to each
	datagrams map[netip.Addr]int // to each
	wrong     []string
}

// addrOf is the hardware address of one of the crowd.
func addrOf(ip netip.Addr) link.Addr {
	b := ip.As4()
	return link.Addr{2, 1, b[0], b[1], b[2], b[3]}
}

// inCrowd is a host at 10.0.0.1/8 among a crowd.
func inCrowd(t *testing.T) (*stack.Host, *crowd) {
	// The crowd stands for other machines, which would not compete with the host
	// for its processors.
	before := runtime.GOMAXPROCS(max(4, runtime.GOMAXPROCS(0)))
	t.Cleanup(func() { runtime.GOMAXPROCS(before) })
	linktest.WantNoPackets(t)
	taptest.Namespace(t)
	d, err := tap.Open(tap.Config{Name: "t0", Addr: link.Addr{2, 0, 0, 0, 0, 2}})
	require.NoError(t, err)
	c := joinCrowd(t, "t0", d.Addr())
	h, err := stack.New(stack.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	_, err = h.AddInterface(stack.InterfaceConfig{Name: "t0", Device: d, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/8")}})
	require.NoError(t, err)
	return h, c
}

func joinCrowd(t *testing.T, name string, own link.Addr) *crowd {
	i, err := net.InterfaceByName(name)
	require.NoError(t, err)
	all := int(binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, unix.ETH_P_ALL)))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	require.NoError(t, err)
	require.NoError(t, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 256<<20))
	require.NoError(t, unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1))
	timeout := unix.NsecToTimeval(int64(50 * time.Millisecond))
	require.NoError(t, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &timeout))
	require.NoError(t, unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: uint16(all), Ifindex: i.Index}))
	c := &crowd{t: t, fd: fd, own: own, requests: map[netip.Addr]int{}, replies: map[netip.Addr]int{}, datagrams: map[netip.Addr]int{}}
	c.done.Go(c.receive)
	t.Cleanup(func() {
		c.closed.Store(true)
		c.done.Wait()
		unix.Close(fd)
		require.Empty(t, c.wrong)
	})
	return c
}

func (c *crowd) receive() {
	b := make([]byte, 2048)
	for !c.closed.Load() {
		n, err := unix.Read(c.fd, b)
		if err != nil {
			continue // the timeout, or a signal
		}
		c.input(b[:n])
	}
}

func (c *crowd) input(b []byte) {
	eth, n, err := link.ParseEthernet(b)
	if err != nil || eth.Src != c.own {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch eth.Type {
	case link.ARP:
		a, err := arp.Parse(b[n:])
		if err != nil {
			c.wrong = append(c.wrong, err.Error())
			return
		}
		if a.Op == arp.Reply {
			c.replies[a.TargetIP]++
			return
		}
		c.requests[a.TargetIP]++
		c.send(arp.Packet{Op: arp.Reply, SenderAddr: addrOf(a.TargetIP), SenderIP: a.TargetIP, TargetAddr: a.SenderAddr, TargetIP: a.SenderIP}, c.own)
	case link.IPv4:
		dst := netip.AddrFrom4([4]byte(b[n+16 : n+20]))
		if eth.Dst != addrOf(dst) {
			c.wrong = append(c.wrong, "datagram to "+dst.String()+" in a frame to "+eth.Dst.String())
		}
		c.datagrams[dst]++
	}
}

// send gives the station an ARP packet.
func (c *crowd) send(a arp.Packet, dst link.Addr) {
	var b [link.EthernetHeaderLen + arp.Len]byte
	link.Ethernet{Dst: dst, Src: a.SenderAddr, Type: link.ARP}.Put(b[:])
	a.Put(b[link.EthernetHeaderLen:])
	// A frame that finds the queue full is lost, as on any wire.
	_, _ = unix.Write(c.fd, b[:])
}

// ask has a host of the crowd, or with 0.0.0.0 one that has no address yet, ask
// who has the station's.
func (c *crowd) ask(sender netip.Addr, src link.Addr) {
	c.send(arp.Packet{Op: arp.Request, SenderAddr: src, SenderIP: sender, TargetIP: netip.MustParseAddr("10.0.0.1")}, link.BroadcastAddr)
}

// setQueueLen changes the number of frames for the station that the kernel keeps.
func (c *crowd) setQueueLen(name string, n uint32) {
	ifr, err := unix.NewIfreq(name)
	require.NoError(c.t, err)
	ifr.SetUint32(n)
	require.NoError(c.t, unix.IoctlIfreq(c.fd, unix.SIOCSIFTXQLEN, ifr))
}

// count returns a map's value for ip, or with the zero address the sum of all.
func (c *crowd) count(m map[netip.Addr]int, ip netip.Addr) (sum int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ip.IsValid() {
		return m[ip]
	}
	for _, n := range m {
		sum += n
	}
	return sum
}

// member is the n-th of the crowd.
func member(n int) netip.Addr {
	n += 1 << 16
	return netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
}

func thresholds(t *testing.T, h *stack.Host, n string) {
	for _, name := range []string{"gc_thresh3", "gc_thresh2", "gc_thresh1"} {
		require.NoError(t, h.SetSysctl("net.ipv4.neigh.default."+name, n))
	}
}

func states(h *stack.Host) map[neighbour.State]int {
	m := map[neighbour.State]int{}
	for e := range h.Neighbours().All() {
		if e.InterfaceName == "t0" {
			m[e.State]++
		}
	}
	return m
}

// One datagram to each of 20,000 neighbours that nobody has spoken to: all
// arrive. With the queue that a TAP has by default the kernel loses many of the
// answers that come at once; they are asked for again.
func TestKernelBurstOfResolutions(t *testing.T) {
	n := 20_000
	if linktest.Race() {
		n /= 4
	}
	for _, q := range []struct {
		name string
		len  uint32
	}{{"queue as it is", 0}, {"queue for all", 2 * uint32(n)}} {
		t.Run(q.name, func(t *testing.T) {
			h, c := inCrowd(t)
			if q.len != 0 {
				c.setQueueLen("t0", q.len)
			}
			thresholds(t, h, "100000")
			s, err := h.UDP().Listen(netip.MustParseAddrPort("0.0.0.0:0"), udp.SocketConfig{})
			require.NoError(t, err)
			defer s.Close()
			start := time.Now()
			for k := range n {
				_, err := s.WriteToUDPAddrPort([]byte("hello"), netip.AddrPortFrom(member(k), 7))
				require.NoError(t, err)
			}
			sent := time.Since(start)
			require.Eventually(t, func() bool { return c.count(c.datagrams, netip.Addr{}) >= n }, 10*time.Second, 10*time.Millisecond)
			took := time.Since(start)
			again := c.count(c.requests, netip.Addr{}) - n
			for k := range n {
				require.Equal(t, 1, c.count(c.datagrams, member(k)), member(k))
			}
			st := h.Neighbours().Stats()
			require.Equal(t, []uint64{0, 0, 0}, []uint64{st.TableFulls, st.UnresolvedDiscards, st.ResFailed})
			require.Equal(t, map[neighbour.State]int{neighbour.Reachable: n}, states(h))
			require.Zero(t, h.Drops().Count(link.FullRing))
			t.Logf("%d datagrams handed over in %v, the last one arrived after %v, %d requests repeated", n, sent, took, again)
		})
	}
}

// The table as it comes has room for 1024: the rest is refused, and who is in it
// is served as before (GC-9, GC-11, GC-13, L3-2).
func TestKernelTableOverflow(t *testing.T) {
	h, c := inCrowd(t)
	const n, room = 2000, 1024
	s, err := h.UDP().Listen(netip.MustParseAddrPort("0.0.0.0:0"), udp.SocketConfig{})
	require.NoError(t, err)
	defer s.Close()
	require.NoError(t, s.SetReceiveErrors(true))
	to := func(k int) netip.AddrPort { return netip.AddrPortFrom(member(k), 7) }
	for k := range n {
		_, err := s.WriteToUDPAddrPort([]byte("hello"), to(k))
		if k < room {
			require.NoError(t, err, k)
		} else {
			require.ErrorIs(t, err, syscall.ENOBUFS, k)
		}
	}
	st := h.Neighbours().Stats()
	require.Equal(t, []uint64{room, n - room, n - room}, []uint64{st.GCEntries, st.TableFulls, st.ForcedGCRuns})
	require.EqualValues(t, n-room, h.Drops().Count(link.NeighCreateFail))
	require.Eventually(t, func() bool { return c.count(c.datagrams, netip.Addr{}) >= room }, 10*time.Second, 10*time.Millisecond)
	require.Equal(t, map[neighbour.State]int{neighbour.Reachable: room}, states(h))

	// A stranger gets no answer; a host in the table does, and one that has no
	// address yet.
	stranger, nobody := link.Addr{2, 9, 0, 0, 0, 9}, netip.IPv4Unspecified()
	c.ask(member(n), stranger)
	c.ask(nobody, stranger)
	c.ask(member(7), addrOf(member(7)))
	require.Eventually(t, func() bool { return c.count(c.replies, member(7)) == 1 }, 10*time.Second, time.Millisecond)
	require.Equal(t, []int{0, 1}, []int{c.count(c.replies, member(n)), c.count(c.replies, nobody)})

	// UDP does not say so unless asked, and TCP keeps trying.
	require.NoError(t, s.SetReceiveErrors(false))
	_, err = s.WriteToUDPAddrPort([]byte("hello"), to(n))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	_, err = h.DialContext(ctx, "tcp", to(n).String())
	require.ErrorIs(t, err, context.DeadlineExceeded)

	// A command finds room.
	require.NoError(t, h.Neighbours().Set(2, member(n), neighbour.Request{
		LLAddr: addrOf(member(n)), HasLLAddr: true, State: neighbour.Permanent, Create: true}))
	for _, k := range []int{0, room - 1, n} {
		_, err = s.WriteToUDPAddrPort([]byte("again"), to(k))
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return c.count(c.datagrams, netip.Addr{}) == room+3 }, 10*time.Second, time.Millisecond)
	require.EqualValues(t, room, h.Neighbours().Stats().GCEntries)
}

// Requests from 100,000 hosts that do not exist cost no more than the table has
// room for, and do no harm to those in it (GC-7, GC-9, GC-13).
func TestKernelFloodOfRequests(t *testing.T) {
	h, c := inCrowd(t)
	n, known := 100_000, 10
	if linktest.Race() {
		n /= 10
	}
	s, err := h.UDP().Listen(netip.MustParseAddrPort("0.0.0.0:0"), udp.SocketConfig{})
	require.NoError(t, err)
	defer s.Close()
	for k := range known {
		_, err := s.WriteToUDPAddrPort([]byte("hello"), netip.AddrPortFrom(member(k), 7))
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return states(h)[neighbour.Reachable] == known }, 10*time.Second, time.Millisecond)

	before := h.Neighbours().Stats()
	heap := heapInUse()
	received := func() int { return int(h.ARP().Stats.InRequests.Load()) }
	start := time.Now()
	for k := range n {
		for k-received() > 500 {
			time.Sleep(10 * time.Microsecond) // so that the kernel's queue loses none
		}
		c.ask(member(known+k), addrOf(member(known+k)))
		if k%5000 == 0 {
			require.LessOrEqual(t, h.Neighbours().Stats().Entries, uint64(1024))
		}
	}
	require.Eventually(t, func() bool { return received() == n }, 10*time.Second, time.Millisecond)
	took := time.Since(start)
	after := h.Neighbours().Stats()
	made, refused := after.Allocs-before.Allocs, after.TableFulls-before.TableFulls
	require.LessOrEqual(t, after.Entries, uint64(1024))
	require.GreaterOrEqual(t, made, uint64(1024-known))
	require.EqualValues(t, n, made+refused)
	// Exactly those that are in the table have got an answer.
	require.Eventually(t, func() bool { return c.count(c.replies, netip.Addr{}) == int(made) }, 10*time.Second, time.Millisecond)
	grown := heapInUse() - heap
	require.Less(t, grown, int64(2<<20))
	for k := range known {
		a, state, ok := h.Neighbours().Interface(2).Lookup(member(k))
		require.Equal(t, []any{addrOf(member(k)), neighbour.Reachable, true}, []any{a, state, ok})
	}
	t.Logf("%d requests in %v: %d answered, %d refused, heap %d kB more", n, took, made, refused, grown>>10)
}

func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
