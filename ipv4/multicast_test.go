package ipv4

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

func TestGroups(t *testing.T) {
	h := newTestHost(t)
	g := addr("239.1.2.3")
	var told []string
	h.HandleGroups(func(i *Interface) { told = append(told, i.Name()) })
	require.NoError(t, h.JoinGroup(2, g))
	require.NoError(t, h.JoinGroup(2, g))
	require.Equal(t, []Group{{Addr: AllHosts, Members: 1}, {Addr: g, Members: 2}}, h.t0.Groups())
	require.NoError(t, h.LeaveGroup(2, g))
	require.True(t, h.t0.receives(g, addr("10.0.0.9"), ProtocolUDP))
	require.NoError(t, h.LeaveGroup(2, g))
	require.False(t, h.t0.receives(g, addr("10.0.0.9"), ProtocolUDP))
	requireErrno(t, syscall.EADDRNOTAVAIL, h.LeaveGroup(2, g))
	requireErrno(t, syscall.EINVAL, h.JoinGroup(2, addr("10.0.0.1")))
	requireErrno(t, syscall.EINVAL, h.JoinGroup(2, addr("ff02::1")))
	requireErrno(t, syscall.ENODEV, h.JoinGroup(9, g))
	require.True(t, h.t0.receives(AllHosts, addr("10.0.0.9"), ProtocolUDP))
	require.NoError(t, h.JoinGroup(2, AllHosts))
	require.Equal(t, []Group{{Addr: AllHosts, Members: 2}}, h.t0.Groups())
	h.SetUp(3, false)
	h.SetUp(3, false)
	h.SetUp(3, true)
	h.RemoveInterface(3)
	require.Equal(t, []string{"t0", "t0", "t0", "t0", "t0", "t1", "t1", "t1"}, told)
}

func TestInterfaceFiltersSources(t *testing.T) {
	h := newTestHost(t)
	g := addr("239.1.2.3")
	one := SourceFilter{Only: true, Sources: sources("10.0.0.9")}
	require.NoError(t, h.ChangeGroup(2, g, nil, &one))
	requireErrno(t, syscall.EADDRNOTAVAIL, h.ChangeGroup(2, g, new(SourceFilter), nil))
	h.Input(h.t0, h.datagram("10.0.0.9", "239.1.2.3"))
	require.Len(t, h.got, 1)
	h.wantDrop(link.IPMulticast, func() { h.Input(h.t0, h.datagram("10.0.0.8", "239.1.2.3")) })
	h.wantDrop(link.IPMulticast, func() { h.Input(h.t1, h.datagram("10.0.1.9", "239.1.2.3")) })
	// IGMP concerns every member, whoever sends it.
	h.Handle(ProtocolIGMP, Handler{Input: func(_ Header, p *link.Packet) { h.clear(); p.Release() }})
	h.Input(h.t0, h.datagram("10.0.0.8", "239.1.2.3", func(ih *Header) { ih.Protocol = ProtocolIGMP }))
	require.Empty(t, h.got)
	// And what we send ourselves is filtered alike.
	require.NoError(t, h.output("239.1.2.3", 10))
	require.Empty(t, h.got, "our own address is not wanted")
	require.NoError(t, h.ChangeGroup(2, g, &one, new(SourceFilter)))
	require.NoError(t, h.output("239.1.2.3", 10))
	require.Len(t, h.got, 1)
}

func (h *testHost) output(dst string, n int) error {
	return h.Output(link.NewPacket(n), Send{Dst: addr(dst), Protocol: testProtocol, Interface: 2})
}

func TestMulticastCounters(t *testing.T) {
	h := newTestHost(t)
	require.NoError(t, h.JoinGroup(2, addr("239.1.1.1")))
	h.Input(h.t0, h.datagram("10.0.0.9", "239.1.1.1"))
	require.NoError(t, h.output("239.2.2.2", 100))
	require.NoError(t, h.output("239.2.2.2", 2000))
	p := link.NewPacket(8)
	require.NoError(t, h.Output(p, Send{Dst: addr("239.2.2.2"), Protocol: testProtocol, Interface: 2, HostOnly: true}))
	s := h.Stats()
	require.EqualValues(t, 1, s.InMcastPkts.Load())
	require.EqualValues(t, 46, s.InMcastOctets.Load())
	require.EqualValues(t, 3, s.OutMcastPkts.Load(), "two fragments; and nothing left with a TTL of 0")
	require.EqualValues(t, 120+2020+20, s.OutMcastOctets.Load())
	require.NoError(t, h.output("255.255.255.255", 100))
	require.EqualValues(t, 1, s.OutBcastPkts.Load())
	require.EqualValues(t, 120, s.OutBcastOctets.Load())
}

// Groups need a route, or an interface, or the source's.
func TestRoutesToGroups(t *testing.T) {
	h := newTestHost(t)
	g := addr("239.1.1.1")
	path := func(src netip.Addr, oif int) (Path, error) { return h.OutputPath(g, src, oif) }
	_, err := path(netip.Addr{}, 0)
	requireErrno(t, syscall.ENETUNREACH, err)
	p, err := path(netip.Addr{}, 3)
	require.NoError(t, err)
	require.Equal(t, "t1", p.Interface.Name())
	require.Equal(t, addr("10.0.1.2"), p.Src)
	p, err = path(addr("10.0.0.2"), 0)
	require.NoError(t, err)
	require.Equal(t, "t0", p.Interface.Name())
	h.route(Route{Dst: prefix("0.0.0.0/0"), Gateway: addr("10.0.0.254"), Interface: 2})
	p, err = path(netip.Addr{}, 0)
	require.NoError(t, err)
	require.Equal(t, "t0", p.Interface.Name())
	require.Equal(t, Multicast, p.Type)
	require.Equal(t, g, p.NextHop(g), "not the default's gateway")
	h.route(Route{Dst: prefix("224.0.0.0/4"), Interface: 3})
	p, err = path(netip.Addr{}, 0)
	require.NoError(t, err)
	require.Equal(t, "t1", p.Interface.Name())
}
