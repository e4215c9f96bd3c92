package dhcp

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

var us = link.Addr{2, 0, 0, 0, 0, 9}

// reply builds a server's answer to us.
func reply(t messageType, xid uint32, ip string, options ...dhcpv4.Option) *dhcpv4.DHCPv4 {
	m, err := dhcpv4.FromBytes(query{Type: discover, XID: xid}.encode(identity{addr: us}))
	if err != nil {
		panic(err)
	}
	m.OpCode, m.YourIPAddr, m.Options = dhcpv4.OpcodeBootReply, net.ParseIP(ip), dhcpv4.Options{}
	m.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageType(t)))
	m.UpdateOption(dhcpv4.OptServerIdentifier(net.ParseIP("10.0.0.1")))
	for _, o := range options {
		m.UpdateOption(o)
	}
	return m
}

func leaseTime(d time.Duration) dhcpv4.Option { return dhcpv4.OptIPAddressLeaseTime(d) }

func option(code uint8, b ...byte) dhcpv4.Option {
	return dhcpv4.OptGeneric(dhcpv4.GenericOptionCode(code), b)
}

func TestEncode(t *testing.T) {
	b := query{Type: discover, XID: 0x01020304, Secs: 7, Broadcast: true, To: everybody}.encode(identity{addr: us, hostname: "h", mtu: 9000})
	require.Len(t, b, 300, "what BOOTP relays expect")
	require.Equal(t, []byte{1, 1, 6, 0, 1, 2, 3, 4, 0, 7, 0x80, 0}, b[:12])
	require.Equal(t, us[:], b[28:34])
	m, err := dhcpv4.FromBytes(b)
	require.NoError(t, err)
	require.Equal(t, append([]byte{1}, us[:]...), m.GetOneOption(dhcpv4.OptionClientIdentifier))
	require.Equal(t, []byte{1, 121, 3, 6, 15, 119, 26, 28, 58, 59}, m.GetOneOption(dhcpv4.OptionParameterRequestList))
	require.Equal(t, []byte{0x05, 0xdc}, m.GetOneOption(dhcpv4.OptionMaximumDHCPMessageSize))
	require.Equal(t, "h", m.HostName())

	m, err = dhcpv4.FromBytes(query{Type: release, Client: given.Addr(), Server: server, To: server}.encode(identity{addr: us, hostname: "h"}))
	require.NoError(t, err)
	require.True(t, m.ClientIPAddr.Equal(net.ParseIP("10.0.0.50")))
	require.True(t, m.ServerIdentifier().Equal(net.ParseIP("10.0.0.1")))
	require.Nil(t, m.GetOneOption(dhcpv4.OptionParameterRequestList), "RFC 2131, table 5")
}

func TestParseAnswer(t *testing.T) {
	full := reply(ack, 5, "10.0.0.50", leaseTime(time.Hour), option(1, 255, 255, 255, 0), option(3, 10, 0, 0, 1, 10, 0, 0, 2),
		option(6, 10, 0, 0, 1, 9, 9, 9, 9), dhcpv4.OptDomainName("example.lan"), option(26, 5, 120), option(28, 10, 0, 0, 255),
		option(58, 0, 0, 0, 100), option(59, 0, 0, 0, 200))
	a, err := parseAnswer(full.ToBytes(), us)
	require.NoError(t, err)
	require.Equal(t, answer{Type: ack, XID: 5, Server: server, Lease: Lease{
		Addr: given, Broadcast: netip.MustParseAddr("10.0.0.255"), Server: server, Duration: time.Hour, T1: 100 * time.Second, T2: 200 * time.Second,
		Routes: []Route{{netip.MustParsePrefix("0.0.0.0/0"), server}}, DNS: []netip.Addr{server, netip.MustParseAddr("9.9.9.9")},
		Domain: "example.lan", MTU: 1400,
	}}, a)

	// RFC 3442: 10/8 via 10.0.0.9, and 169.254/16 on the link; routers do not count.
	full.UpdateOption(option(121, 8, 10, 10, 0, 0, 9, 16, 169, 254, 0, 0, 0, 0))
	a, err = parseAnswer(full.ToBytes(), us)
	require.NoError(t, err)
	require.Equal(t, []Route{{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParseAddr("10.0.0.9")}, {netip.MustParsePrefix("169.254.0.0/16"), netip.IPv4Unspecified()}}, a.Lease.Routes)
	require.False(t, routesOf(a.Lease, 2)[0].Gateway.IsValid(), "what is on the link comes first")

	times := func(options ...dhcpv4.Option) [3]time.Duration {
		a, err := parseAnswer(reply(offer, 1, "10.0.0.50", options...).ToBytes(), us)
		require.NoError(t, err)
		return [3]time.Duration{a.Lease.T1, a.Lease.T2, a.Lease.Duration}
	}
	require.Equal(t, [3]time.Duration{40 * time.Second, 70 * time.Second, 80 * time.Second}, times(leaseTime(80*time.Second)), "section 4.4.5")
	require.Equal(t, [3]time.Duration{40 * time.Second, 70 * time.Second, 80 * time.Second}, times(leaseTime(80*time.Second), option(58, 0, 0, 1, 0), option(59, 0, 0, 1, 0)), "longer than the lease")
	require.Equal(t, [3]time.Duration{Forever, Forever, Forever}, times(option(51, 255, 255, 255, 255)))
	a, err = parseAnswer(reply(offer, 1, "192.168.1.5", leaseTime(time.Hour)).ToBytes(), us)
	require.NoError(t, err)
	require.Equal(t, 24, a.Lease.Addr.Bits(), "the class's mask")
	a, err = parseAnswer(reply(nak, 1, "0.0.0.0", dhcpv4.OptMessage("wrong network")).ToBytes(), us)
	require.NoError(t, err)
	require.Equal(t, answer{Type: nak, XID: 1, Server: server, Text: "wrong network"}, a)
}

func TestParseAnswerRefuses(t *testing.T) {
	_, err := parseAnswer(reply(ack, 1, "10.0.0.50", leaseTime(time.Hour)).ToBytes(), link.Addr{2, 0, 0, 0, 0, 1})
	require.ErrorIs(t, err, errNotForUs)
	for name, m := range map[string]*dhcpv4.DHCPv4{
		"a request":        reply(request, 1, "10.0.0.50", leaseTime(time.Hour)),
		"no lease time":    reply(ack, 1, "10.0.0.50"),
		"for no time":      reply(ack, 1, "10.0.0.50", leaseTime(0)),
		"no address":       reply(ack, 1, "0.0.0.0", leaseTime(time.Hour)),
		"loopback":         reply(ack, 1, "127.0.0.9", leaseTime(time.Hour)),
		"multicast":        reply(ack, 1, "224.0.0.9", leaseTime(time.Hour)),
		"no mask":          reply(ack, 1, "10.0.0.9", leaseTime(time.Hour), option(1, 255, 0, 255, 0)),
		"no server":        reply(ack, 1, "10.0.0.9", leaseTime(time.Hour), option(54, 0, 0, 0, 0)),
		"short lease time": reply(ack, 1, "10.0.0.9", option(51, 1, 2)),
	} {
		_, err := parseAnswer(m.ToBytes(), us)
		require.Error(t, err, name)
	}
	_, err = parseAnswer(make([]byte, 239), us)
	require.Error(t, err)
}

func FuzzParseAnswer(f *testing.F) {
	f.Add(reply(ack, 5, "10.0.0.50", leaseTime(time.Hour), option(1, 255, 255, 255, 0), option(121, 8, 10, 10, 0, 0, 9), option(119, 1, 'a', 0)).ToBytes())
	f.Add(reply(nak, 5, "0.0.0.0").ToBytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := parseAnswer(b, us)
		if err != nil || a.Type == nak {
			return
		}
		l := a.Lease
		require.True(t, unicast(l.Addr.Addr()))
		require.True(t, l.T1 <= l.T2 && l.T2 <= l.Duration && l.Duration > 0, l)
		routesOf(l, 1)
	})
}
