package udp

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
)

// What Linux 6.18 answered to the same calls, one after the other.
func TestMembershipErrors(t *testing.T) {
	h := newTestHost(t, "2")
	c := h.listen("0.0.0.0:7")
	addr := netip.MustParseAddr
	type step struct {
		name string
		call func() error
		want syscall.Errno
	}
	run := func(steps ...step) {
		t.Helper()
		for _, s := range steps {
			err := s.call()
			if s.want == 0 {
				require.NoError(t, err, s.name)
				continue
			}
			require.ErrorIs(t, err, s.want, s.name)
			wantErrno(t, s.want, err)
		}
	}
	join := func(i int, g string) func() error { return func() error { return c.JoinGroup(i, addr(g)) } }
	leave := func(i int, g string) func() error { return func() error { return c.LeaveGroup(i, addr(g)) } }
	want := func(i int, g, s string) func() error {
		return func() error { return c.JoinSourceSpecificGroup(i, addr(g), addr(s)) }
	}
	unwant := func(i int, g, s string) func() error {
		return func() error { return c.LeaveSourceSpecificGroup(i, addr(g), addr(s)) }
	}
	block := func(i int, g, s string) func() error {
		return func() error { return c.ExcludeSourceSpecificGroup(i, addr(g), addr(s)) }
	}
	unblock := func(i int, g, s string) func() error {
		return func() error { return c.IncludeSourceSpecificGroup(i, addr(g), addr(s)) }
	}
	run(
		step{"add", join(1, "239.1.1.1"), 0},
		step{"add again", join(1, "239.1.1.1"), syscall.EADDRINUSE},
		step{"on another interface", join(2, "239.1.1.1"), 0},
		step{"no group", join(2, "10.1.1.2"), syscall.EINVAL},
		step{"no interface", join(99, "239.1.1.2"), syscall.ENODEV},
		step{"drop unknown", leave(2, "239.1.1.9"), syscall.EADDRNOTAVAIL},
		step{"the route's interface", join(0, "239.1.1.2"), 0},
		step{"which is t0", leave(2, "239.1.1.2"), 0},
		step{"drop on any", leave(0, "239.1.1.1"), 0},
		step{"that was the first", leave(1, "239.1.1.1"), syscall.EADDRNOTAVAIL},
		step{"a source of a member of all", want(2, "239.1.1.1", "1.1.1.1"), 0},
		step{"source", want(2, "239.2.1.1", "1.1.1.1"), 0},
		step{"source again", want(2, "239.2.1.1", "1.1.1.1"), syscall.EADDRNOTAVAIL},
		step{"block where sources are wanted", block(2, "239.2.1.1", "1.1.1.2"), syscall.EINVAL},
		step{"add where sources are wanted", join(2, "239.2.1.1"), syscall.EADDRINUSE},
		step{"drop another source", unwant(2, "239.2.1.1", "1.1.1.2"), syscall.EADDRNOTAVAIL},
		step{"drop the last source", unwant(2, "239.2.1.1", "1.1.1.1"), 0},
		step{"which was the end", unwant(2, "239.2.1.1", "1.1.1.1"), syscall.EINVAL},
		step{"block in no group", block(2, "239.7.1.1", "1.1.1.2"), syscall.EINVAL},
		step{"unblock in no group", unblock(2, "239.7.1.1", "1.1.1.2"), syscall.EINVAL},
		step{"add", join(2, "239.3.1.1"), 0},
		step{"block", block(2, "239.3.1.1", "1.1.1.2"), 0},
		step{"block again", block(2, "239.3.1.1", "1.1.1.2"), syscall.EADDRNOTAVAIL},
		step{"a source where some are blocked", want(2, "239.3.1.1", "1.1.1.1"), syscall.EINVAL},
		step{"unblock another", unblock(2, "239.3.1.1", "1.1.1.3"), syscall.EADDRNOTAVAIL},
		step{"unblock", unblock(2, "239.3.1.1", "1.1.1.2"), 0},
		step{"unblock again", unblock(2, "239.3.1.1", "1.1.1.2"), syscall.EADDRNOTAVAIL},
	)
	for n := range 10 {
		run(step{"ten sources", want(2, "239.4.1.1", fmt.Sprintf("1.1.1.%d", n)), 0})
	}
	run(step{"eleven sources", want(2, "239.4.1.1", "1.1.1.10"), syscall.ENOBUFS})
	for n := 3; n < 20; n++ {
		run(step{"twenty groups", join(2, fmt.Sprintf("239.5.1.%d", n)), 0})
	}
	run(step{"twenty-one groups", join(2, "239.5.1.99"), syscall.ENOBUFS})
	require.NoError(t, c.Close())
	require.ErrorIs(t, c.JoinGroup(2, addr("239.1.1.1")), net.ErrClosed)
	for _, i := range []int{1, 2} {
		for n := range 256 {
			for _, g := range []string{"239.1.1.%d", "239.2.1.%d", "239.3.1.%d", "239.4.1.%d", "239.5.1.%d"} {
				require.ErrorIs(t, h.ip.LeaveGroup(i, addr(fmt.Sprintf(g, n))), syscall.EADDRNOTAVAIL, "no membership outlives its socket")
			}
		}
	}
}

func TestMembershipsDecideWhatIsReceived(t *testing.T) {
	b := newTestHost(t, "2")
	group := netip.MustParseAddr("239.1.1.1")
	reuse := SocketConfig{ReuseAddr: true}
	listen := func() *Conn { return b.listen("0.0.0.0:9", reuse) }
	member, source, blocks, elsewhere, other, picky := listen(), listen(), listen(), listen(), listen(), listen()
	good, bad := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.7")
	require.NoError(t, member.JoinGroup(2, group))
	require.NoError(t, source.JoinSourceSpecificGroup(2, group, good))
	require.NoError(t, blocks.JoinGroup(2, group))
	require.NoError(t, blocks.ExcludeSourceSpecificGroup(2, group, bad))
	require.NoError(t, elsewhere.JoinGroup(3, group))
	require.NoError(t, elsewhere.SetMulticastAll(false))
	require.NoError(t, picky.SetMulticastAll(false))
	receive := func(src netip.Addr) {
		p := link.NewPacket(HeaderLen + 1)
		Header{SrcPort: 1, DstPort: 9, Length: p.Len()}.Put(p.Bytes())
		p.Bytes()[HeaderLen] = 'x'
		ipv4.Header{TotalLen: ipv4.HeaderLen + p.Len(), TTL: 1, Protocol: ipv4.ProtocolUDP, Src: src, Dst: group}.Put(p.Push(ipv4.HeaderLen))
		p.Type = link.Multicast
		b.ip.Input(b.t0, p)
	}
	for _, c := range []struct {
		src  netip.Addr
		want []*Conn
	}{{good, []*Conn{member, source, blocks, other}}, {bad, []*Conn{member, other}}} {
		receive(c.src)
		var got []*Conn
		for _, s := range []*Conn{member, source, blocks, elsewhere, other, picky} {
			if len(unread(t, s)) > 0 {
				got = append(got, s)
			}
		}
		require.Equal(t, len(c.want), len(got))
		for i := range got {
			require.Same(t, c.want[i], got[i], "%v: %d", c.src, i)
		}
	}
	for _, c := range []*Conn{member, source, blocks} {
		require.NoError(t, c.Close())
	}
	before := b.drops.Count(link.IPMulticast)
	receive(good)
	require.EqualValues(t, before+1, b.drops.Count(link.IPMulticast), "the last member has gone")
}

func TestSendingToGroups(t *testing.T) {
	h := newTestHost(t, "2")
	group := netip.MustParseAddr("239.1.1.1")
	c, member := h.listen("0.0.0.0:0"), h.listen("0.0.0.0:9")
	require.NoError(t, member.JoinGroup(2, group))
	require.NoError(t, member.SetMulticastAll(false))
	try := func(sent, got int) {
		t.Helper()
		h.sent = nil
		send(t, c, "x", "239.1.1.1:9")
		require.Len(t, h.sent, sent)
		require.Len(t, unread(t, member), got)
	}
	try(1, 1)
	require.EqualValues(t, 1, h.sent[0].h.TTL)
	require.NoError(t, c.SetMulticastLoopback(false))
	try(1, 0)
	require.NoError(t, c.SetMulticastLoopback(true))
	require.NoError(t, c.SetMulticastTTL(0))
	try(0, 1)
	require.NoError(t, c.SetMulticastTTL(7))
	try(1, 1)
	require.EqualValues(t, 7, h.sent[0].h.TTL)
	require.NoError(t, c.SetMulticastInterface(3))
	try(1, 0)
	require.Equal(t, 3, h.sent[0].iface)
	require.Equal(t, "10.0.1.2", h.sent[0].h.Src.String())
	require.NoError(t, c.SetMulticastInterface(0))
	try(1, 1)
	wantErrno(t, syscall.EADDRNOTAVAIL, c.SetMulticastInterface(99))
	wantErrno(t, syscall.EINVAL, h.listen("0.0.0.0:0", SocketConfig{Interface: 2}).SetMulticastInterface(3))
}
