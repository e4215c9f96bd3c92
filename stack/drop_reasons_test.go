package stack_test

import (
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/ipv4/icmp"
	"github.com/tapstack/tapstack/ipv4/tcp"
	"github.com/tapstack/tapstack/ipv4/udp"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack"
	"github.com/tapstack/tapstack/stack/stacktest"
)

// dropScene is a host, 10.0.0.1 on eth0 and 10.0.1.1 on eth1, and a station on
// the first LAN that it knows as 10.0.0.9.
type dropScene struct {
	t    *testing.T
	h    *stack.Host
	s    *stacktest.Station
	full *fullDevice
}

var dropStation = link.Addr{2, 0, 0, 0, 0, 0xee}

// fullDevice is a device whose queue can be full.
type fullDevice struct {
	link.Device
	full atomic.Bool
}

func (d *fullDevice) Write(p *link.Packet) error {
	if d.full.Load() {
		p.Release()
		return link.ErrQueueFull
	}
	return d.Device.Write(p)
}

func newDropScene(t *testing.T) *dropScene {
	c := &dropScene{t: t, full: new(fullDevice)}
	other, lan := stacktest.NewLAN(t), stacktest.NewLAN(t)
	c.h = lan.Host(stacktest.HostConfig{Addr: "10.0.0.1/24", Wrap: func(d link.Device) link.Device {
		c.full.Device = d
		return c.full
	}})
	other.Attach(c.h, "eth1", link.Addr{2, 0, 0, 0, 1, 1}, "10.0.1.1/24", nil)
	c.s = lan.Station(dropStation)
	require.NoError(t, c.h.Neighbours().Set(c.h.Interface("eth0").Index(), netip.MustParseAddr("10.0.0.9"),
		neighbour.Request{LLAddr: dropStation, HasLLAddr: true, State: neighbour.Permanent, Create: true}))
	synctest.Wait()
	c.s.Take()
	return c
}

func (c *dropScene) set(name, value string) {
	require.NoError(c.t, c.h.SetSysctl("net.ipv4."+name, value), name)
}

// frame sends a frame to the host, or whom to says.
func (c *dropScene) frame(typ link.EtherType, payload []byte, to ...link.Addr) {
	dst := c.h.Interface("eth0").Addr()
	if len(to) > 0 {
		dst = to[0]
	}
	b := make([]byte, link.EthernetHeaderLen)
	link.Ethernet{Dst: dst, Src: dropStation, Type: typ}.Put(b)
	require.NoError(c.t, c.s.Send(append(b, payload...)))
}

// packet is an IPv4 packet from the station.
func (c *dropScene) packet(dst string, protocol uint8, data []byte, change ...func(*ipv4.Header)) []byte {
	h := ipv4.Header{TTL: 64, ID: 7, Protocol: protocol, Src: netip.MustParseAddr("10.0.0.9"), Dst: netip.MustParseAddr(dst)}
	for _, f := range change {
		f(&h)
	}
	h.TotalLen = h.Len() + len(data)
	b := make([]byte, h.TotalLen)
	h.Put(b)
	copy(b[h.Len():], data)
	return b
}

// ip has the trigger send such a packet; patch changes its bytes.
func ip(dst string, protocol uint8, data []byte, change ...func(*ipv4.Header)) func(*dropScene) func() {
	return func(c *dropScene) func() {
		return func() { c.frame(link.IPv4, c.packet(dst, protocol, data, change...)) }
	}
}

func from(src string) func(*ipv4.Header) {
	return func(h *ipv4.Header) { h.Src = netip.MustParseAddr(src) }
}

func patched(at int, v byte, data []byte) func(*dropScene) func() {
	return func(c *dropScene) func() {
		b := c.packet("10.0.0.1", 17, data)
		b[at] = v
		return func() { c.frame(link.IPv4, b) }
	}
}

// with is a row whose sysctls, name and value, are set first.
func with(f func(*dropScene) func(), sysctls ...string) func(*dropScene) func() {
	return func(c *dropScene) func() {
		for k := 0; k < len(sysctls); k += 2 {
			c.set(sysctls[k], sysctls[k+1])
		}
		return f(c)
	}
}

// output has the trigger send a packet of n bytes.
func output(dst string, n int, change ...func(*ipv4.Send)) func(*dropScene) func() {
	return func(c *dropScene) func() {
		return func() {
			s := ipv4.Send{Dst: netip.MustParseAddr(dst), Protocol: 200}
			for _, f := range change {
				f(&s)
			}
			_ = c.h.IPv4().Output(link.NewPacket(n), s)
		}
	}
}

// fragments has the trigger send the last fragment, after the others.
func fragments(all ...func(*ipv4.Header)) func(*dropScene) func() {
	return func(c *dropScene) func() {
		send := func(f func(*ipv4.Header)) { c.frame(link.IPv4, c.packet("10.0.0.1", 17, make([]byte, 64), f)) }
		last := len(all) - 1
		for _, f := range all[:last] {
			send(f)
			synctest.Wait()
		}
		return func() { send(all[last]) }
	}
}

func piece(id uint16, offset int, more bool) func(*ipv4.Header) {
	return func(h *ipv4.Header) { h.ID, h.FragmentOffset, h.MF = id, offset, more }
}

// arpRow asks for 10.0.0.1, but for some bytes: offsets and values.
func arpRow(patches ...int) func(*dropScene) func() {
	return func(c *dropScene) func() {
		b := make([]byte, arp.Len)
		arp.Packet{Op: arp.Request, SenderAddr: dropStation, SenderIP: netip.MustParseAddr("10.0.0.9"), TargetIP: netip.MustParseAddr("10.0.0.1")}.Put(b)
		for k := 0; k < len(patches); k += 2 {
			b[patches[k]] = byte(patches[k+1])
		}
		return func() { c.frame(link.ARP, b, link.BroadcastAddr) }
	}
}

func icmpMessage(typ uint8, bad bool) []byte {
	b := make([]byte, icmp.HeaderLen+8)
	icmp.Header{Type: typ}.Put(b)
	icmp.SetChecksum(b)
	if bad {
		b[2] ^= 1
	}
	return b
}

func datagram(port uint16, n int) []byte {
	b := make([]byte, udp.HeaderLen+n)
	binary.BigEndian.PutUint16(b, 4000)
	binary.BigEndian.PutUint16(b[2:], port)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	udp.SetChecksum(b, netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("10.0.0.1"))
	return b
}

// udpSocket opens a socket at port 5000 with room for one datagram and fills it.
func udpSocket(then func(c *dropScene, s *udp.Conn) func()) func(*dropScene) func() {
	return func(c *dropScene) func() {
		s, err := c.h.UDP().Listen(netip.MustParseAddrPort("10.0.0.1:5000"), udp.SocketConfig{ReadBuffer: 1})
		require.NoError(c.t, err)
		c.t.Cleanup(func() { s.Close() })
		for range 10 {
			c.frame(link.IPv4, c.packet("10.0.0.1", 17, datagram(5000, 1400)))
		}
		synctest.Wait()
		return then(c, s)
	}
}

// segment is a TCP segment from the station's port 4000 to port 80.
func (c *dropScene) segment(h tcp.Header, data string) []byte {
	if h.SrcPort == 0 {
		h.SrcPort = 4000
	}
	h.DstPort = 80
	b := append(make([]byte, h.Len()), data...)
	h.Put(b)
	sum := ipv4.PseudoHeaderSum(netip.MustParseAddr("10.0.0.9"), netip.MustParseAddr("10.0.0.1"), ipv4.ProtocolTCP, len(b))
	b[16], b[17] = 0, 0
	binary.BigEndian.PutUint16(b[16:], ipv4.Checksum(b, sum))
	return c.packet("10.0.0.1", ipv4.ProtocolTCP, b)
}

const (
	peerISS = 1000
	atEdge  = 1 << 30 // a sequence number right behind the window
)

// newest is the TCP header of the newest frame from the host.
func (c *dropScene) newest() tcp.Header {
	frames := c.s.Take()
	require.NotEmpty(c.t, frames)
	h, _, err := tcp.Parse(frames[len(frames)-1][link.EthernetHeaderLen+ipv4.HeaderLen:])
	require.NoError(c.t, err)
	return h
}

// tcpRow has the trigger send a segment to a listener, or with established to a
// connection, where seq and ack count from the next that is expected.
func tcpRow(established bool, h tcp.Header, data string) func(*dropScene) func() {
	return func(c *dropScene) func() {
		l, err := c.h.Listen("tcp", "10.0.0.1:80")
		require.NoError(c.t, err)
		go func() {
			for {
				s, err := l.Accept()
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, s)
				s.Close()
			}
		}()
		c.t.Cleanup(func() { l.Close() })
		if established {
			syn := tcp.Header{Seq: peerISS, Flags: tcp.SYN, Window: 1000}
			syn.Options.HasTimestamps, syn.Options.TSVal = true, 1000000
			c.frame(link.IPv4, c.segment(syn, ""))
			synctest.Wait()
			a := c.newest()
			require.Equal(c.t, tcp.SYN|tcp.ACK, a.Flags)
			first := tcp.Header{Seq: peerISS + 1, Ack: a.Seq.Add(1), Flags: tcp.ACK, Window: 1000}
			first.Options.HasTimestamps, first.Options.TSVal, first.Options.TSEcr = true, 1000000, a.Options.TSVal
			c.frame(link.IPv4, c.segment(first, "hello"))
			synctest.Wait()
			if h.Seq == atEdge {
				time.Sleep(time.Second) // for a delayed ACK
				last := c.newest()
				h.Seq = last.Ack.Add(int(last.Window))
			} else {
				h.Seq += first.Seq + 5
			}
			h.Ack += first.Ack
			if !h.Options.HasTimestamps {
				h.Options.HasTimestamps, h.Options.TSVal, h.Options.TSEcr = true, 1000001, a.Options.TSVal
			}
		}
		h.Window = 1000
		return func() { c.frame(link.IPv4, c.segment(h, data)) }
	}
}

// dropRows reach each reason by an input. n packets are dropped, one if it is 0.
var dropRows = []struct {
	reason link.DropReason
	n      uint64
	input  func(*dropScene) func()
}{
	{link.DevReady, 0, func(c *dropScene) func() {
		require.NoError(c.t, c.h.SetUp("eth0", false))
		return ip("10.0.0.1", 17, nil)(c)
	}},
	{link.FullRing, 0, func(c *dropScene) func() {
		c.full.full.Store(true)
		return output("10.0.0.9", 8)(c)
	}},
	{link.PktTooBig, 0, output("10.0.0.9", 65530)},
	{link.HdrTrunc, 0, func(c *dropScene) func() {
		return func() { require.NoError(c.t, c.s.Send(make([]byte, 6))) }
	}},
	{link.OtherHostFrame, 0, func(c *dropScene) func() {
		return func() { c.frame(link.IPv4, c.packet("10.0.0.1", 17, datagram(1, 1)), link.Addr{2, 9, 9, 9, 9, 9}) }
	}},
	{link.UnhandledProto, 0, func(c *dropScene) func() { return func() { c.frame(link.IPv6, make([]byte, 40)) } }},

	{link.ARPTooShort, 0, func(c *dropScene) func() { return func() { c.frame(link.ARP, make([]byte, 9)) } }},
	{link.ARPHardware, 0, arpRow(1, 9)},
	{link.ARPProtocol, 0, arpRow(2, 9)},
	{link.ARPOperation, 0, arpRow(7, 9)},
	{link.ARPTarget, 0, arpRow(24, 224)},
	{link.ARPGratuitous, 0, with(arpRow(27, 9), "conf.all.drop_gratuitous_arp", "1")},
	{link.ARPProxyQueue, 0, with(func(c *dropScene) func() {
		arpRow(26, 1, 27, 9)(c)() // the first one waits
		synctest.Wait()
		return arpRow(26, 1, 27, 8)(c)
	}, "conf.eth0.proxy_arp", "1", "ip_forward", "1", "neigh.eth0.proxy_qlen", "0")},
	{link.ARPFilterRefuse, 0, func(c *dropScene) func() {
		c.h.ARP().SetFilter(func(d arp.Direction, _ int, _ arp.Packet) bool { return d == arp.Out })
		return arpRow(24, 10)(c)
	}},

	{link.NeighCreateFail, 0, with(func(c *dropScene) func() {
		output("10.0.1.50", 8)(c)()
		return output("10.0.0.50", 8)(c)
	}, "neigh.default.gc_thresh3", "1")},
	{link.NeighFailed, 0, func(c *dropScene) func() {
		return func() {
			output("10.0.0.50", 8)(c)()
			time.Sleep(10 * time.Second)
		}
	}},
	{link.NeighQueueFull, 0, with(func(c *dropScene) func() {
		output("10.0.0.50", 8)(c)()
		return output("10.0.0.50", 8)(c)
	}, "neigh.eth0.unres_qlen_bytes", "832")},
	{link.NeighDead, 0, func(c *dropScene) func() {
		output("10.0.0.50", 8)(c)()
		return func() { require.NoError(c.t, c.h.SetUp("eth0", false)) }
	}},

	{link.IPCsum, 0, patched(10, 0, nil)},
	{link.IPInHdr, 0, patched(0, 0x55, nil)},
	{link.PktTooSmall, 0, func(c *dropScene) func() {
		b := c.packet("10.0.0.1", 17, make([]byte, 100))
		return func() { c.frame(link.IPv4, b[:80]) }
	}},
	{link.IPRPFilter, 0, with(ip("10.0.0.1", 17, nil, from("10.0.1.9")), "conf.all.rp_filter", "1")},
	{link.IPInvalidSource, 0, ip("10.0.0.1", 17, nil, from("224.0.0.1"))},
	{link.IPLocalSource, 0, ip("10.0.0.1", 17, nil, from("10.0.0.1"))},
	{link.IPLocalNet, 0, ip("10.0.0.1", 17, nil, from("127.0.0.1"))},
	{link.IPInvalidDest, 0, ip("127.0.0.1", 17, nil)},
	{link.UnicastInL2Multicast, 0, with(func(c *dropScene) func() {
		return func() { c.frame(link.IPv4, c.packet("10.0.0.1", 17, nil), link.BroadcastAddr) }
	}, "conf.all.drop_unicast_in_l2_multicast", "1")},
	{link.IPInNoRoutes, 0, with(ip("99.0.0.1", 17, nil), "ip_forward", "1")},
	{link.IPInAddrErrors, 0, ip("10.0.1.9", 17, nil)},
	{link.IPOutNoRoutes, 0, output("99.0.0.1", 8)},
	{link.IPTTLExpired, 0, with(ip("10.0.1.9", 17, nil, func(h *ipv4.Header) { h.TTL = 1 }), "ip_forward", "1")},
	{link.IPFragNeeded, 0, output("10.0.0.9", 2000, func(s *ipv4.Send) { s.DF = true })},
	{link.IPNoProto, 0, ip("10.0.0.1", 253, nil)},
	{link.IPOptions, 0, ip("10.0.0.1", 17, nil, func(h *ipv4.Header) { h.Options = []byte{7, 2, 0, 0} })},
	{link.IPMulticast, 0, func(c *dropScene) func() {
		return func() { c.frame(link.IPv4, c.packet("239.1.1.1", 17, nil), link.Addr{1, 0, 0x5e, 1, 1, 1}) }
	}},
	{link.FragReasmTimeout, 0, func(c *dropScene) func() {
		f := fragments(piece(1, 0, true))(c)
		return func() {
			f()
			time.Sleep(31 * time.Second)
		}
	}},
	{link.FragTooFar, 0, with(fragments(piece(1, 0, true), piece(2, 0, true), piece(3, 0, true), piece(1, 64, true)), "ipfrag_max_dist", "1")},
	{link.DupFrag, 0, fragments(piece(1, 0, true), piece(1, 0, true))},
	{link.FragOverlap, 2, fragments(piece(1, 0, true), piece(1, 8, true))},
	{link.FragMemory, 0, with(fragments(piece(1, 0, true)), "ipfrag_low_thresh", "0", "ipfrag_high_thresh", "0")},
	{link.FragIncomplete, 2, func(c *dropScene) func() {
		c.full.full.Store(true)
		return output("10.0.0.9", 4000)(c) // the first of three is under FullRing
	}},

	{link.ICMPCsum, 0, ip("10.0.0.1", 1, icmpMessage(8, true))},
	{link.ICMPInHdr, 0, ip("10.0.0.1", 1, []byte{8, 0, 0})},
	{link.ICMPIgnored, 0, ip("10.0.0.1", 1, icmpMessage(4, false))},
	{link.ICMPRateLimit, 0, with(ip("10.0.0.1", 1, icmpMessage(8, false)), "icmp_ratemask", "1", "icmp_msgs_per_sec", "0", "icmp_msgs_burst", "0")},
	{link.IGMPCsum, 0, ip("224.0.0.1", 2, []byte{0x11, 0, 9, 9, 0, 0, 0, 0}, func(h *ipv4.Header) { h.TTL = 1 })},
	{link.IGMPInHdr, 0, ip("224.0.0.1", 2, []byte{0x11, 0}, func(h *ipv4.Header) { h.TTL = 1 })},

	{link.NoSocket, 0, ip("10.0.0.1", 17, datagram(5000, 8))},
	{link.SocketRcvBuff, 0, udpSocket(func(c *dropScene, _ *udp.Conn) func() {
		return func() { c.frame(link.IPv4, c.packet("10.0.0.1", 17, datagram(5000, 1400))) }
	})},
	{link.SocketClosed, 1, udpSocket(func(c *dropScene, s *udp.Conn) func() { return func() { s.Close() } })},
	{link.UDPCsum, 0, func(c *dropScene) func() {
		d := datagram(5000, 8)
		d[6] ^= 1
		return ip("10.0.0.1", 17, d)(c)
	}},
	{link.UDPInHdr, 0, ip("10.0.0.1", 17, make([]byte, 7))},

	{link.TCPCsum, 0, ip("10.0.0.1", 6, append([]byte{15: 0, 12: 0x50}, 0, 0, 0, 0))},
	{link.TCPInHdr, 0, ip("10.0.0.1", 6, make([]byte, 19))},
	{link.TCPFlags, 0, tcpRow(false, tcp.Header{Flags: tcp.FIN}, "")},
	{link.TCPReset, 0, tcpRow(false, tcp.Header{Flags: tcp.RST}, "")},
	{link.TCPOldData, 0, tcpRow(true, tcp.Header{Seq: 0xffffffff - 4, Flags: tcp.ACK}, "hello")},
	{link.TCPOldAck, 0, tcpRow(true, tcp.Header{Ack: 0xffffffff - 100000, Flags: tcp.ACK}, "")},
	{link.TCPAckUnsent, 0, tcpRow(true, tcp.Header{Ack: 1, Flags: tcp.ACK}, "")},
	{link.TCPInvalidSequence, 0, tcpRow(true, tcp.Header{Seq: 10000000, Flags: tcp.ACK}, "x")},
	{link.TCPZeroWindow, 0, tcpRow(true, tcp.Header{Seq: atEdge, Flags: tcp.ACK}, "x")},
	{link.TCPInvalidSyn, 0, tcpRow(true, tcp.Header{Flags: tcp.SYN}, "")},
	{link.TCPRFC7323PAWS, 0, tcpRow(true, tcp.Header{Flags: tcp.ACK, Options: tcp.Options{HasTimestamps: true, TSVal: 5}}, "x")},
}

// dropElsewhere are the reasons that take more than a frame: the tests that reach
// them.
var dropElsewhere = map[link.DropReason]string{
	link.ARPDisabled:       "../arp/stats_test.go: link.ARPDisabled",
	link.ProtoMem:          "../ipv4/udp/memory_test.go: link.ProtoMem",
	link.TCPOfoDrop:        "../ipv4/tcp/conn_recv_test.go: link.TCPOfoDrop",
	link.TCPListenOverflow: "../ipv4/tcp/listen_test.go: ListenOverflows",
}

// dropNobody are names of Linux's that nothing here drops a packet under.
var dropNobody = []link.DropReason{link.TapFilter, link.SocketFilter, link.TCPOverWindow, link.TCPClose}

func TestDropReasons(t *testing.T) {
	for _, row := range dropRows {
		t.Run(row.reason.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newDropScene(t)
				trigger := row.input(c)
				synctest.Wait()
				before := c.h.Drops().Counts()
				trigger()
				synctest.Wait()
				have := c.h.Drops().Counts()
				for name, n := range before {
					if have[name] -= n; have[name] == 0 {
						delete(have, name)
					}
				}
				want := map[string]uint64{row.reason.String(): max(row.n, 1)}
				if row.reason == link.FragIncomplete {
					want[link.FullRing.String()] = 1
				}
				require.Equal(t, want, have, "once, and nothing else")
			})
		})
	}
}

func TestDropReasonsAreComplete(t *testing.T) {
	reached := make(map[link.DropReason]bool)
	for _, row := range dropRows {
		reached[row.reason] = true
	}
	for r, where := range dropElsewhere {
		require.False(t, reached[r], "%s is in the table", r)
		reached[r] = true
		file, words, _ := strings.Cut(where, ": ")
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Contains(t, string(b), words, "the test of %s", r)
	}
	for _, r := range dropNobody {
		require.False(t, reached[r], "%s is in the table", r)
		reached[r] = true
	}
	for r := link.NotSpecified + 1; r.String() != fmt.Sprintf("DROP_%d", r); r++ {
		require.True(t, reached[r], "%s has no input that leads to it: add one to dropRows", r)
	}
}
