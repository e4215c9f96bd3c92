package stack_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/ipv4/igmp"
	"github.com/tapstack/tapstack/ipv4/udp"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/pipe"
	"github.com/tapstack/tapstack/link/tap"
)

// groupSocket is a socket whose memberships make its host say something.
type groupSocket interface {
	JoinGroup(index int, group netip.Addr) error
	LeaveGroup(index int, group netip.Addr) error
	JoinSourceSpecificGroup(index int, group, source netip.Addr) error
	LeaveSourceSpecificGroup(index int, group, source netip.Addr) error
	ExcludeSourceSpecificGroup(index int, group, source netip.Addr) error
	IncludeSourceSpecificGroup(index int, group, source netip.Addr) error
	Close() error
}

// kernelSocket is the kernel's.
type kernelSocket struct{ fd int }

func (s kernelSocket) set(option int, addrs ...netip.Addr) error {
	var b []byte
	for _, a := range addrs {
		b = append(b, a.AsSlice()...)
	}
	return syscall.SetsockoptString(s.fd, syscall.IPPROTO_IP, option, string(b))
}

var groupInterface = netip.MustParseAddr("10.0.0.2")

func (s kernelSocket) JoinGroup(_ int, g netip.Addr) error {
	return s.set(syscall.IP_ADD_MEMBERSHIP, g, groupInterface)
}
func (s kernelSocket) LeaveGroup(_ int, g netip.Addr) error {
	return s.set(syscall.IP_DROP_MEMBERSHIP, g, groupInterface)
}
func (s kernelSocket) JoinSourceSpecificGroup(_ int, g, a netip.Addr) error {
	return s.set(syscall.IP_ADD_SOURCE_MEMBERSHIP, g, groupInterface, a)
}
func (s kernelSocket) LeaveSourceSpecificGroup(_ int, g, a netip.Addr) error {
	return s.set(syscall.IP_DROP_SOURCE_MEMBERSHIP, g, groupInterface, a)
}
func (s kernelSocket) ExcludeSourceSpecificGroup(_ int, g, a netip.Addr) error {
	return s.set(syscall.IP_BLOCK_SOURCE, g, groupInterface, a)
}
func (s kernelSocket) IncludeSourceSpecificGroup(_ int, g, a netip.Addr) error {
	return s.set(syscall.IP_UNBLOCK_SOURCE, g, groupInterface, a)
}
func (s kernelSocket) Close() error { return syscall.Close(s.fd) }

// groupHost is one of the two that are compared, seen from its link.
type groupHost struct {
	t      *testing.T
	index  int
	link   link.Device // the other end
	socket func() groupSocket
	sysctl func(name, value string)

	mu  sync.Mutex
	got []string
}

// listen notes the host's IGMP messages until its link is closed.
func (h *groupHost) listen() {
	for {
		p, err := h.link.Read()
		if err != nil {
			return
		}
		if s := igmpLine(p.Bytes()); s != "" {
			h.mu.Lock()
			h.got = append(h.got, s)
			h.mu.Unlock()
		}
		p.Release()
	}
}

// igmpLine says all that is in a frame with an IGMP message, nothing about others.
func igmpLine(b []byte) string {
	eth, n, err := link.ParseEthernet(b)
	if err != nil || eth.Type != link.IPv4 {
		return ""
	}
	h, err := ipv4.Parse(b[n:])
	if err != nil || h.Protocol != ipv4.ProtocolIGMP {
		return ""
	}
	m := b[n+h.Len() : n+h.TotalLen]
	s := fmt.Sprintf("to %v, %v > %v tos %#x ttl %d id %d df %v options %x sum %v:", eth.Dst, h.Src, h.Dst, h.TOS, h.TTL, h.ID, h.DF, h.Options, ipv4.Sum(m, 0) == 0xffff)
	if m[0] != igmp.TypeReportV3 {
		ih, err := igmp.ParseHeader(m)
		return s + fmt.Sprintf(" type %#x code %d group %v %v", ih.Type, ih.Code, ih.Group, err)
	}
	records, err := igmp.ParseReport(m)
	if err != nil {
		return s + err.Error()
	}
	var all []string
	for _, r := range records {
		slices.SortFunc(r.Sources, netip.Addr.Compare)
		all = append(all, fmt.Sprintf(" %v %v %v", r.Type, r.Group, r.Sources))
	}
	slices.Sort(all) // nobody promises an order
	return s + strings.Join(all, ";")
}

// send takes an IGMP message to the host, from a router.
func (h *groupHost) send(dst string, b []byte) {
	igmp.SetChecksum(b)
	p := link.NewPacketFrom(b)
	d := netip.MustParseAddr(dst).As4()
	ipv4.Header{TotalLen: 24 + len(b), TTL: 1, TOS: 0xc0, Protocol: ipv4.ProtocolIGMP, Src: netip.MustParseAddr("10.0.0.1"),
		Dst: netip.AddrFrom4(d), Options: []byte{148, 4, 0, 0}}.Put(p.Push(24))
	link.Ethernet{Dst: link.Addr{1, 0, 0x5e, d[1] & 0x7f, d[2], d[3]}, Src: link.Addr{2, 0, 0, 0, 0, 1}, Type: link.IPv4}.Put(p.Push(link.EthernetHeaderLen))
	require.NoError(h.t, h.link.Write(p))
}

// What a program and a router make the kernel say, they make this stack say: the
// same messages with the same headers, once in order.
func TestKernelIGMP(t *testing.T) {
	k := newKernelHost(t)
	d := k.tap("k0", tap.Config{Peer: netip.MustParsePrefix("10.0.0.2/24")})
	t.Cleanup(func() { d.Close() })
	kernel := &groupHost{t: t, link: d, socket: func() (s groupSocket) {
		k.Do(func() {
			fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
			require.NoError(t, err)
			s = kernelSocket{fd}
		})
		return s
	}, sysctl: k.sysctl}

	a, b := pipe.New(pipe.Config{})
	h := newHost(t)
	attach(t, h, "k0", a, "10.0.0.2/24")
	t.Cleanup(func() { b.Close() })
	ours := &groupHost{t: t, index: h.Interface("k0").Index(), link: b, socket: func() groupSocket {
		c, err := h.UDP().Listen(netip.AddrPort{}, udp.SocketConfig{})
		require.NoError(t, err)
		return c
	}, sysctl: func(name, value string) { sysctl(t, h, name+"="+value) }}

	hosts := []*groupHost{kernel, ours}
	for _, x := range hosts {
		// The longest random delays, so that the test need not wait long.
		x.sysctl("net.ipv4.igmp_qrv", "2")
		x.sysctl("net.ipv4.conf.k0.igmpv2_unsolicited_report_interval", "100")
		x.sysctl("net.ipv4.conf.k0.igmpv3_unsolicited_report_interval", "100")
		x.sysctl("net.ipv4.conf.k0.force_igmp_version", "0")
		go x.listen()
	}
	addr := netip.MustParseAddr
	g1, g2, g3 := addr("239.1.1.1"), addr("232.1.1.2"), addr("224.0.0.251")
	s1, s2 := addr("10.0.0.8"), addr("10.0.0.9")
	query := func(code byte, group netip.Addr, robustness, interval byte, sources ...netip.Addr) []byte {
		b := []byte{igmp.TypeQuery, code, 0, 0}
		b = append(append(b, group.AsSlice()...), robustness, interval, 0, byte(len(sources)))
		for _, s := range sources {
			b = append(b, s.AsSlice()...)
		}
		return b
	}
	v2 := func(kind, code byte, group netip.Addr) []byte {
		return append([]byte{kind, code, 0, 0}, group.AsSlice()...)
	}
	any := netip.IPv4Unspecified()
	sockets := make(map[*groupHost][]groupSocket)
	for _, step := range []struct {
		name  string
		do    func(x *groupHost, s []groupSocket) error
		least int // lines
	}{
		{"join", func(x *groupHost, s []groupSocket) error { return s[0].JoinGroup(x.index, g1) }, 2},
		{"join again by another socket", func(x *groupHost, s []groupSocket) error { return s[1].JoinGroup(x.index, g1) }, 0},
		{"join a source", func(x *groupHost, s []groupSocket) error { return s[0].JoinSourceSpecificGroup(x.index, g2, s1) }, 2},
		{"join another source", func(x *groupHost, s []groupSocket) error { return s[1].JoinSourceSpecificGroup(x.index, g2, s2) }, 2},
		{"all hosts", func(x *groupHost, s []groupSocket) error { return s[0].JoinGroup(x.index, addr("224.0.0.1")) }, 0},
		{"join mDNS", func(x *groupHost, s []groupSocket) error { return s[0].JoinGroup(x.index, g3) }, 2},
		{"one blocks", func(x *groupHost, s []groupSocket) error { return s[0].ExcludeSourceSpecificGroup(x.index, g1, s1) }, 0},
		{"both block", func(x *groupHost, s []groupSocket) error { return s[1].ExcludeSourceSpecificGroup(x.index, g1, s1) }, 2},
		{"general query", func(x *groupHost, _ []groupSocket) error { x.send("224.0.0.1", query(1, any, 2, 125)); return nil }, 1},
		{"group query", func(x *groupHost, _ []groupSocket) error {
			x.send("239.1.1.1", query(1, g1, 2, 125))
			return nil
		}, 1},
		{"query of wanted sources", func(x *groupHost, _ []groupSocket) error {
			x.send("232.1.1.2", query(1, g2, 2, 125, s1, addr("10.0.0.77")))
			return nil
		}, 1},
		{"query of unwanted sources", func(x *groupHost, _ []groupSocket) error {
			x.send("232.1.1.2", query(1, g2, 2, 125, addr("10.0.0.77")))
			return nil
		}, 0},
		{"query of excluded sources", func(x *groupHost, _ []groupSocket) error {
			x.send("239.1.1.1", query(1, g1, 2, 125, s1))
			return nil
		}, 0},
		{"query of sources of all but some", func(x *groupHost, _ []groupSocket) error {
			x.send("239.1.1.1", query(1, g1, 2, 125, s1, s2))
			return nil
		}, 1},
		{"one unblocks", func(x *groupHost, s []groupSocket) error { return s[1].IncludeSourceSpecificGroup(x.index, g1, s1) }, 2},
		{"one leaves: it is the blocker's now", func(x *groupHost, s []groupSocket) error { return s[1].LeaveGroup(x.index, g1) }, 2},
		{"the last leaves", func(x *groupHost, s []groupSocket) error { return s[0].LeaveGroup(x.index, g1) }, 2},
		{"leave a source", func(x *groupHost, s []groupSocket) error { return s[0].LeaveSourceSpecificGroup(x.index, g2, s1) }, 2},
		{"everybody is wanted", func(x *groupHost, s []groupSocket) error { return s[0].JoinGroup(x.index, g2) }, 2},
		{"and only one again", func(x *groupHost, s []groupSocket) error { return s[0].LeaveGroup(x.index, g2) }, 2},
		{"close", func(x *groupHost, s []groupSocket) error { return s[1].Close() }, 2},
		{"robustness 3", func(x *groupHost, s []groupSocket) error {
			x.send("224.0.0.1", query(1, any, 3, 1))
			time.Sleep(150 * time.Millisecond)
			return s[0].JoinGroup(x.index, g1)
		}, 3},
		{"version 2", func(x *groupHost, s []groupSocket) error {
			x.send("224.0.0.1", v2(igmp.TypeQuery, 1, any))
			return nil
		}, 2},
		{"join in version 2", func(x *groupHost, s []groupSocket) error { return s[0].JoinGroup(x.index, g2) }, 2},
		{"group query of version 2", func(x *groupHost, s []groupSocket) error {
			x.send("239.1.1.1", v2(igmp.TypeQuery, 1, g1))
			return nil
		}, 1},
		{"leave in version 2", func(x *groupHost, s []groupSocket) error { return s[0].LeaveGroup(x.index, g2) }, 1},
		{"leave what another reported", func(x *groupHost, s []groupSocket) error {
			x.send("239.1.1.1", v2(igmp.TypeReportV2, 0, g1))
			time.Sleep(20 * time.Millisecond)
			return s[0].LeaveGroup(x.index, g1)
		}, 0},
		{"forced to version 1", func(x *groupHost, s []groupSocket) error {
			x.sysctl("net.ipv4.conf.k0.force_igmp_version", "1")
			return s[0].JoinGroup(x.index, g1)
		}, 2},
		{"leave in version 1", func(x *groupHost, s []groupSocket) error { return s[0].LeaveGroup(x.index, g1) }, 0},
	} {
		for _, x := range hosts {
			if sockets[x] == nil {
				sockets[x] = []groupSocket{x.socket(), x.socket()}
			}
			require.NoError(t, step.do(x, sockets[x]), step.name)
		}
		// No delay is longer than 300 ms, but the machine may be busy.
		var got [2][]string
		for try := 0; try < 5 && (try == 0 || !slices.Equal(got[0], got[1])); try++ {
			time.Sleep(350 * time.Millisecond)
			for i, x := range hosts {
				x.mu.Lock()
				got[i] = slices.Clone(x.got)
				x.mu.Unlock()
				if strings.HasSuffix(step.name, "version 2") {
					slices.Sort(got[i]) // at random times
				}
			}
		}
		for _, x := range hosts {
			x.mu.Lock()
			x.got = nil
			x.mu.Unlock()
		}
		require.Equal(t, got[0], got[1], "%s", step.name)
		require.Len(t, got[0], max(step.least, len(got[0])), "%s", step.name)
	}
	for _, s := range sockets {
		s[0].Close()
	}
}
