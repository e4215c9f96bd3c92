package dhcp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/tapstack/tapstack/link"
)

// messageType is the value of option 53 (RFC 2132, section 9.6).
type messageType uint8

const (
	discover messageType = 1
	offer    messageType = 2
	request  messageType = 3
	decline  messageType = 4
	ack      messageType = 5
	nak      messageType = 6
	release  messageType = 7
)

func (t messageType) String() string { return dhcpv4.MessageType(t).String() }

// query is a message to a server, as far as the machine decides it (RFC 2131,
// table 5).
type query struct {
	Type      messageType
	XID       uint32
	Secs      uint16
	Broadcast bool       // ask for a broadcast answer: we cannot receive another
	Client    netip.Addr // ciaddr: the address that we have
	Requested netip.Addr // option 50
	Server    netip.Addr // option 54
	To        netip.Addr // 255.255.255.255 or a server
}

// identity is what a client says of itself in every message.
type identity struct {
	addr     link.Addr
	hostname string
	mtu      int
}

// wanted are the options that a server is asked for. RFC 3442 wants the classless
// routes before the routers.
var wanted = dhcpv4.OptionCodeList{
	dhcpv4.OptionSubnetMask, dhcpv4.OptionClasslessStaticRoute, dhcpv4.OptionRouter, dhcpv4.OptionDomainNameServer,
	dhcpv4.OptionDomainName, dhcpv4.OptionDNSDomainSearchList, dhcpv4.OptionInterfaceMTU, dhcpv4.OptionBroadcastAddress,
	dhcpv4.OptionRenewTimeValue, dhcpv4.OptionRebindingTimeValue,
}

// minMessage is the length in bytes that BOOTP relays and servers expect at least
// (RFC 1542, section 2.1).
const minMessage = 300

// encode returns the message as it is sent.
func (q query) encode(id identity) []byte {
	m := &dhcpv4.DHCPv4{
		OpCode: dhcpv4.OpcodeBootRequest, HWType: iana.HWTypeEthernet, ClientHWAddr: id.addr[:],
		NumSeconds: q.Secs, ClientIPAddr: net.IPv4zero, YourIPAddr: net.IPv4zero, ServerIPAddr: net.IPv4zero, GatewayIPAddr: net.IPv4zero,
		Options: dhcpv4.Options{},
	}
	binary.BigEndian.PutUint32(m.TransactionID[:], q.XID)
	if q.Broadcast {
		m.SetBroadcast()
	}
	if q.Client.IsValid() {
		m.ClientIPAddr = q.Client.AsSlice()
	}
	m.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageType(q.Type)))
	// RFC 2132 section 9.14: the hardware address with its type.
	m.UpdateOption(dhcpv4.OptClientIdentifier(append([]byte{byte(iana.HWTypeEthernet)}, id.addr[:]...)))
	if q.Requested.IsValid() {
		m.UpdateOption(dhcpv4.OptRequestedIPAddress(q.Requested.AsSlice()))
	}
	if q.Server.IsValid() {
		m.UpdateOption(dhcpv4.OptServerIdentifier(q.Server.AsSlice()))
	}
	if q.Type == discover || q.Type == request {
		m.UpdateOption(dhcpv4.OptParameterRequestList(wanted...))
		m.UpdateOption(dhcpv4.OptMaxMessageSize(uint16(min(max(id.mtu, 576), 1500))))
		if id.hostname != "" {
			m.UpdateOption(dhcpv4.OptHostName(id.hostname))
		}
	}
	b := m.ToBytes()
	if len(b) < minMessage {
		b = append(b, make([]byte, minMessage-len(b))...)
	}
	return b
}

// answer is a message from a server.
type answer struct {
	Type   messageType
	XID    uint32
	Server netip.Addr // option 54
	Text   string     // why a request was refused
	Lease  Lease      // of an offer or an ack; Start is not set
}

var errNotForUs = errors.New("dhcp: message for another client")

// parseAnswer reads a message to the client with that hardware address. A message
// that a client must not believe is an error.
func parseAnswer(b []byte, addr link.Addr) (a answer, err error) {
	m, err := dhcpv4.FromBytes(b)
	if err != nil {
		return a, fmt.Errorf("dhcp: message of %d bytes: %w", len(b), err)
	}
	if m.OpCode != dhcpv4.OpcodeBootReply || string(m.ClientHWAddr) != string(addr[:]) {
		return a, errNotForUs
	}
	a.Type, a.XID = messageType(m.MessageType()), binary.BigEndian.Uint32(m.TransactionID[:])
	if a.Server = addr4(m.ServerIdentifier()); !unicast(a.Server) {
		return a, fmt.Errorf("dhcp: %s without the server's address", a.Type)
	}
	switch a.Type {
	case nak:
		a.Text = m.Message()
		return a, nil
	case offer, ack:
		a.Lease, err = leaseOf(m)
		a.Lease.Server = a.Server
		return a, err
	}
	return a, fmt.Errorf("dhcp: %s is no answer", a.Type)
}

func addr4(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip.To4())
	return a
}

// unicast reports whether a host can have the address.
func unicast(a netip.Addr) bool {
	return a.Is4() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() && a.As4()[0] != 0 && a.As4()[0] < 240
}

func leaseOf(m *dhcpv4.DHCPv4) (l Lease, err error) {
	ip := addr4(m.YourIPAddr)
	if !unicast(ip) {
		return l, fmt.Errorf("dhcp: %v cannot be a host's address", m.YourIPAddr)
	}
	// Without a mask the class of the address decides, as for BOOTP clients.
	mask := m.SubnetMask()
	if mask == nil {
		mask = net.IP(ip.AsSlice()).DefaultMask()
	}
	bits, size := mask.Size()
	if size != 32 || bits == 0 {
		return l, fmt.Errorf("dhcp: %v is no subnet mask", mask)
	}
	l.Addr = netip.PrefixFrom(ip, bits)
	if l.Duration, err = seconds(m, dhcpv4.OptionIPAddressLeaseTime); err != nil {
		return l, err
	}
	if l.Duration == 0 {
		return l, errors.New("dhcp: a lease for no time")
	}
	l.times(m)
	if b := addr4(m.BroadcastAddress()); b.IsValid() && l.Addr.Masked().Contains(b) {
		l.Broadcast = b
	}
	for _, ip := range m.DNS() {
		if a := addr4(ip); a.IsValid() && !a.IsUnspecified() {
			l.DNS = append(l.DNS, a)
		}
	}
	l.Domain = m.DomainName()
	if s := m.DomainSearch(); s != nil {
		l.Search = s.Labels
	}
	if b := m.GetOneOption(dhcpv4.OptionInterfaceMTU); len(b) == 2 {
		l.MTU = int(binary.BigEndian.Uint16(b))
	}
	// RFC 3442: who understands the classless routes ignores the routers.
	for _, r := range m.ClasslessStaticRoute() {
		bits, size := r.Dest.Mask.Size()
		dst, gw := addr4(r.Dest.IP), addr4(r.Router)
		if size == 32 && dst.IsValid() && gw.IsValid() {
			l.Routes = append(l.Routes, Route{netip.PrefixFrom(dst, bits).Masked(), gw})
		}
	}
	if len(l.Routes) == 0 {
		for _, ip := range m.Router() {
			if gw := addr4(ip); unicast(gw) {
				l.Routes = []Route{{netip.PrefixFrom(netip.IPv4Unspecified(), 0), gw}} // in order of preference
				break
			}
		}
	}
	return l, nil
}

// times sets T1 and T2. Values that make no sense are replaced by those of RFC
// 2131, section 4.4.5.
func (l *Lease) times(m *dhcpv4.DHCPv4) {
	if l.Duration == Forever {
		l.T1, l.T2 = Forever, Forever
		return
	}
	l.T1, _ = seconds(m, dhcpv4.OptionRenewTimeValue)
	l.T2, _ = seconds(m, dhcpv4.OptionRebindingTimeValue)
	if l.T2 == 0 || l.T2 >= l.Duration {
		l.T2 = l.Duration * 7 / 8
	}
	if l.T1 == 0 || l.T1 >= l.T2 {
		l.T1 = min(l.Duration/2, l.T2)
	}
}

// seconds reads a time option.
func seconds(m *dhcpv4.DHCPv4, code dhcpv4.OptionCode) (time.Duration, error) {
	b := m.GetOneOption(code)
	if len(b) != 4 {
		return 0, fmt.Errorf("dhcp: no %s", code)
	}
	n := binary.BigEndian.Uint32(b)
	if n == 1<<32-1 {
		return Forever, nil
	}
	return time.Duration(n) * time.Second, nil
}
