package stack_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/ipv4/icmp"
	"github.com/tapstack/tapstack/ipv4/udp"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/link/pipe"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack"
)

// player is a device that plays one frame again and again to the host's receive
// loop. What the host makes of a frame happens before it asks for the next, as
// with a device that never runs dry: what is measured is the host, and no
// scheduler.
type player struct {
	addr   link.Addr
	plays  chan int
	played chan struct{}
	closed chan struct{}

	frame   []byte
	handled func() // called when the host is done with a frame, if not nil
	playing bool
	left    int
	wrote   int // frames that the receive loop wrote
}

func newPlayer(addr link.Addr) *player {
	return &player{addr: addr, plays: make(chan int), played: make(chan struct{}), closed: make(chan struct{})}
}

// play gives the host the frame n times and returns when it is done with all.
func (d *player) play(n int) {
	d.plays <- n
	<-d.played
}

func (d *player) Read() (*link.Packet, error) {
	if d.playing && d.handled != nil {
		d.handled()
	}
	if d.playing && d.left == 0 {
		d.playing = false
		d.played <- struct{}{}
	}
	if !d.playing {
		select {
		case d.left = <-d.plays:
			d.playing = true
		case <-d.closed:
			return nil, net.ErrClosed
		}
	}
	d.left--
	return link.NewPacketFrom(d.frame), nil
}

func (d *player) Write(p *link.Packet) error {
	d.wrote++
	p.Release()
	return nil
}

func (d *player) Addr() link.Addr { return d.addr }
func (d *player) MTU() int        { return 1500 }
func (d *player) Close() error    { close(d.closed); return nil }

// The router of the benchmarks: 10.0.0.1 on t0 and 10.0.1.1 on t1, and on each
// link a station .9 that it knows.
var (
	routerMAC  = [2]link.Addr{{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}}
	stationMAC = [2]link.Addr{{2, 0, 0, 0, 1, 1}, {2, 0, 0, 0, 1, 2}}
	routerIP   = [2]netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.1.1")}
	stationIP  = [2]netip.Addr{netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("10.0.1.9")}
)

func newRouter(tb testing.TB, devices [2]link.Device) *stack.Host {
	h, err := stack.New(stack.Config{})
	require.NoError(tb, err)
	tb.Cleanup(func() { require.NoError(tb, h.Close()) })
	for k, d := range devices {
		i, err := h.AddInterface(stack.InterfaceConfig{Name: fmt.Sprintf("t%d", k), Device: d, Addrs: []netip.Prefix{netip.PrefixFrom(routerIP[k], 24)}})
		require.NoError(tb, err)
		require.NoError(tb, h.Neighbours().Set(i.Index(), stationIP[k], neighbour.Request{LLAddr: stationMAC[k], HasLLAddr: true, State: neighbour.Permanent, Create: true}))
	}
	require.NoError(tb, h.SetSysctl("net.ipv4.ip_forward", "1"))
	return h
}

// playerRouter is a router between two players, the first of which plays frame.
func playerRouter(tb testing.TB, frame []byte) (h *stack.Host, in, out *player) {
	in, out = newPlayer(routerMAC[0]), newPlayer(routerMAC[1])
	in.frame = frame
	return newRouter(tb, [2]link.Device{in, out}), in, out
}

// ipFrame is a frame from the station on t0 with an IPv4 packet of size bytes,
// and that packet's data.
func ipFrame(dst netip.Addr, protocol uint8, size int) (frame, data []byte) {
	frame = make([]byte, link.EthernetHeaderLen+size)
	link.Ethernet{Dst: routerMAC[0], Src: stationMAC[0], Type: link.IPv4}.Put(frame)
	b := frame[link.EthernetHeaderLen:]
	ipv4.Header{TotalLen: size, ID: 1, TTL: 64, Protocol: protocol, Src: stationIP[0], Dst: dst}.Put(b)
	return frame, b[ipv4.HeaderLen:]
}

func udpFrame(dst netip.Addr, size int) []byte {
	frame, b := ipFrame(dst, ipv4.ProtocolUDP, size)
	binary.BigEndian.PutUint16(b, 40000)
	binary.BigEndian.PutUint16(b[2:], 7)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	udp.SetChecksum(b, stationIP[0], dst)
	return frame
}

func echoFrame(size int) []byte {
	frame, b := ipFrame(routerIP[0], ipv4.ProtocolICMP, size)
	icmp.Header{Type: icmp.TypeEcho, Info: 1<<16 | 1}.Put(b)
	icmp.SetChecksum(b)
	return frame
}

func arpRequest() []byte {
	frame := make([]byte, link.EthernetHeaderLen+arp.Len)
	link.Ethernet{Dst: link.BroadcastAddr, Src: stationMAC[0], Type: link.ARP}.Put(frame)
	arp.Packet{Op: arp.Request, SenderAddr: stationMAC[0], SenderIP: stationIP[0], TargetIP: routerIP[0]}.Put(frame[link.EthernetHeaderLen:])
	return frame
}

// walks are the ways of a frame through a host: each plays n frames and says how
// many came out at the other end.
var walks = []struct {
	name string
	size int
	open func(tb testing.TB, size int) (walk func(n int) int)
}{
	{"Forward/64B", 64, forwardWalk},
	{"Forward/1500B", 1500, forwardWalk},
	{"Echo/64B", 64, echoWalk},
	{"Echo/1500B", 1500, echoWalk},
	{"ReceiveUDP/64B", 64, udpWalk},
	{"ReceiveUDP/1500B", 1500, udpWalk},
	{"ARPRequest", link.EthernetHeaderLen + arp.Len, arpWalk},
}

// written counts what d's host writes to out while it is played n frames.
func written(d, out *player) func(n int) int {
	return func(n int) int {
		before := out.wrote
		d.play(n)
		return out.wrote - before
	}
}

func forwardWalk(tb testing.TB, size int) func(int) int {
	_, in, out := playerRouter(tb, udpFrame(stationIP[1], size))
	return written(in, out)
}

func echoWalk(tb testing.TB, size int) func(int) int {
	_, in, _ := playerRouter(tb, echoFrame(size))
	return written(in, in)
}

func arpWalk(tb testing.TB, _ int) func(int) int {
	_, in, _ := playerRouter(tb, arpRequest())
	return written(in, in)
}

func udpWalk(tb testing.TB, size int) func(int) int {
	h, in, _ := playerRouter(tb, udpFrame(routerIP[0], size))
	pc, err := h.ListenPacket("udp4", "10.0.0.1:7")
	require.NoError(tb, err)
	c := pc.(*udp.Conn)
	buf := make([]byte, 2048)
	got := 0
	in.handled = func() {
		if n, _, err := c.ReadFromUDPAddrPort(buf); err == nil && n == size-ipv4.HeaderLen-udp.HeaderLen {
			got++
		}
	}
	return func(n int) int {
		before := got
		in.play(n)
		return got - before
	}
}

// TestWalksDoNotAllocate shows that what every packet passes allocates nothing.
func TestWalksDoNotAllocate(t *testing.T) {
	for _, w := range walks {
		t.Run(w.name, func(t *testing.T) {
			linktest.WantNoPackets(t)
			walk := w.open(t, w.size)
			require.Equal(t, 10, walk(10), "each frame has its effect")
			linktest.WantNoAllocs(t, func() { walk(1) })
		})
	}
}

// benchmark measures the walks of that name. The frame is copied into a packet
// first, as a device does.
func benchmark(b *testing.B, name string) {
	for _, w := range walks {
		sub := ""
		if w.name != name {
			if len(w.name) <= len(name) || w.name[:len(name)+1] != name+"/" {
				continue
			}
			sub = w.name[len(name)+1:]
		}
		bench := func(b *testing.B) {
			walk := w.open(b, w.size)
			walk(1000)
			b.SetBytes(int64(w.size))
			b.ReportAllocs()
			b.ResetTimer()
			require.Equal(b, b.N, walk(b.N))
		}
		if sub == "" {
			bench(b)
			return
		}
		b.Run(sub, bench)
	}
}

// BenchmarkForward is a datagram from one link to another.
func BenchmarkForward(b *testing.B) { benchmark(b, "Forward") }

// BenchmarkEcho is an echo request answered in place.
func BenchmarkEcho(b *testing.B) { benchmark(b, "Echo") }

// BenchmarkReceiveUDP is a datagram from the link to a socket's reader.
func BenchmarkReceiveUDP(b *testing.B) { benchmark(b, "ReceiveUDP") }

// BenchmarkARPRequest is an ARP request answered.
func BenchmarkARPRequest(b *testing.B) { benchmark(b, "ARPRequest") }

// BenchmarkForwardPipe is BenchmarkForward between two cables, with goroutines at
// both ends: each operation also passes two queues.
func BenchmarkForwardPipe(b *testing.B) {
	for _, size := range []int{64, 1500} {
		b.Run(fmt.Sprintf("%dB", size), func(b *testing.B) {
			near, in := pipe.New(pipe.Config{Addrs: [2]link.Addr{stationMAC[0], routerMAC[0]}})
			out, far := pipe.New(pipe.Config{Addrs: [2]link.Addr{routerMAC[1], stationMAC[1]}})
			newRouter(b, [2]link.Device{in, out})
			frame := udpFrame(stationIP[1], size)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			for left := b.N; left > 0; {
				n := min(left, 256) // queues hold more
				for range n {
					require.NoError(b, near.Write(link.NewPacketFrom(frame)))
				}
				for range n {
					p, err := far.Read()
					require.NoError(b, err)
					p.Release()
				}
				left -= n
			}
			b.StopTimer()
			near.Close()
			far.Close()
		})
	}
}
