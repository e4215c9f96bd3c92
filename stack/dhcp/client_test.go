package dhcp

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/ipv4/udp"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack"
	"github.com/tapstack/tapstack/stack/stacktest"
)

// dhcpServer answers on a host of the LAN as the test says.
type dhcpServer struct {
	t    *testing.T
	conn net.PacketConn

	mu    sync.Mutex
	heard []string // the types of messages
	next  string   // the address to give
	life  time.Duration
	deaf  bool
	naks  bool
	more  []dhcpv4.Option
}

func serve(t *testing.T, lan *stacktest.LAN) *dhcpServer {
	h := lan.Host(stacktest.HostConfig{Name: "server", Addr: "10.0.0.1/24"})
	c, err := h.UDP().Listen(netip.MustParseAddrPort("0.0.0.0:67"), udp.SocketConfig{Interface: h.Interface("eth0").Index(), Broadcast: true})
	require.NoError(t, err)
	s := &dhcpServer{t: t, conn: c, next: "10.0.0.50", life: time.Hour}
	go s.run()
	return s
}

func (s *dhcpServer) run() {
	b := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(b)
		if err != nil {
			return
		}
		q, err := dhcpv4.FromBytes(b[:n])
		if err != nil {
			s.t.Error(err)
			return
		}
		s.answer(q, from.(*net.UDPAddr))
	}
}

func (s *dhcpServer) answer(q *dhcpv4.DHCPv4, from *net.UDPAddr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, q.MessageType().String()+" from "+from.IP.String())
	to := ack
	switch {
	case s.deaf:
		return
	case messageType(q.MessageType()) == discover:
		to = offer
	case messageType(q.MessageType()) != request:
		return
	case s.naks:
		to = nak
	}
	m := reply(to, 0, s.next, append(s.more, leaseTime(s.life), option(1, 255, 255, 255, 0))...)
	m.TransactionID, m.ClientHWAddr = q.TransactionID, q.ClientHWAddr
	dst := &net.UDPAddr{IP: net.IPv4bcast, Port: 68}
	if !q.ClientIPAddr.IsUnspecified() && to != nak {
		dst.IP = q.ClientIPAddr
	}
	_, err := s.conn.WriteTo(m.ToBytes(), dst)
	if err != nil {
		s.t.Error(err)
	}
}

// set changes the server's mind.
func (s *dhcpServer) set(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// took returns what the server heard since the last time.
func (s *dhcpServer) took() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := strings.Join(s.heard, ", ")
	s.heard = nil
	return l
}

func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func addresses(h *stack.Host, dev string) (list []string) {
	for _, a := range h.IPv4().Addresses(h.Interface(dev).Index()) {
		list = append(list, a.Prefix.String())
	}
	return list
}

func gateways(h *stack.Host) (list []string) {
	for _, r := range h.IPv4().Routes() {
		if r.Protocol == originDHCP {
			list = append(list, r.Dst.String()+" via "+r.Gateway.String()+" src "+r.Src.String())
		}
	}
	return list
}

// probed is longer than the probes of RFC 5227 take.
const probed = 8 * time.Second

func TestClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := stacktest.NewLAN(t)
		s := serve(t, lan)
		s.more = []dhcpv4.Option{option(3, 10, 0, 0, 1), option(6, 10, 0, 0, 1), dhcpv4.OptDomainName("example.lan"), option(26, 5, 120)}
		h := lan.Host(stacktest.HostConfig{MAC: us})
		changes := 0
		c, err := Start(h, Config{Interface: "eth0", Changed: func() { changes++ }})
		require.NoError(t, err)
		defer c.Close()
		_, err = Start(h, Config{Interface: "eth0"})
		require.Error(t, err, "one client an interface")
		_, err = Start(h, Config{Interface: "eth7"})
		require.Error(t, err)
		synctest.Wait()
		require.Equal(t, Checking, c.State())
		require.Empty(t, addresses(h, "eth0"), "not before it is known to be free")
		pass(probed)
		require.Equal(t, Bound, c.State())
		require.Equal(t, "DISCOVER from 0.0.0.0, REQUEST from 0.0.0.0", s.took())
		require.Equal(t, []string{"10.0.0.50/24"}, addresses(h, "eth0"))
		require.Equal(t, []string{"0.0.0.0/0 via 10.0.0.1 src 10.0.0.50"}, gateways(h))
		require.Equal(t, stack.DNS{Servers: []netip.Addr{server}, Search: []string{"example.lan"}}, h.DNS())
		require.Equal(t, 1400, h.Interface("eth0").MTU())
		l, ok := c.Lease()
		require.True(t, ok)
		require.Equal(t, given, l.Addr)
		life := h.AddressClaims()[0].Lifetime()
		require.True(t, life.Dynamic)
		require.Equal(t, l.End(), life.Valid)
		require.NotZero(t, changes)

		// Renewal, with other settings and more time.
		s.set(func() {
			s.more = []dhcpv4.Option{option(121, 16, 172, 16, 10, 0, 0, 9, 32, 10, 9, 9, 9, 0, 0, 0, 0)}
		})
		pass(30 * time.Minute)
		require.Equal(t, "REQUEST from 10.0.0.50", s.took())
		require.Equal(t, Bound, c.State())
		require.ElementsMatch(t, []string{"172.16.0.0/16 via 10.0.0.9 src 10.0.0.50", "10.9.9.9/32 via invalid IP src 10.0.0.50"}, gateways(h))
		require.Empty(t, h.DNS().Servers)
		require.Equal(t, 1500, h.Interface("eth0").MTU(), "as before")
		require.Greater(t, h.AddressClaims()[0].Lifetime().Valid, life.Valid.Add(29*time.Minute))

		c.Close()
		c.Close()
		synctest.Wait()
		require.Equal(t, "RELEASE from 10.0.0.50", s.took())
		require.Empty(t, addresses(h, "eth0"))
		require.Empty(t, gateways(h))
		require.Empty(t, h.AddressClaims())
	})
}

func TestClientWithoutServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := stacktest.NewLAN(t)
		s := serve(t, lan)
		s.deaf = true
		h := lan.Host(stacktest.HostConfig{})
		// Another interface has an address, which is not to be used on this one.
		lan.Attach(h, "eth1", link.Addr{}, "10.5.0.1/24", nil)
		c, err := Start(h, Config{Interface: "eth0"})
		require.NoError(t, err)
		defer c.Close()
		pass(20 * time.Second)
		require.Equal(t, "DISCOVER from 0.0.0.0, DISCOVER from 0.0.0.0, DISCOVER from 0.0.0.0", s.took())
		s.set(func() { s.deaf = false })
		pass(time.Minute)
		require.Equal(t, Bound, c.State())
		// The server falls silent: the lease ends.
		s.set(func() { s.deaf = true })
		pass(time.Hour)
		require.Empty(t, addresses(h, "eth0"))
		require.Equal(t, Selecting, c.State())
		heard := s.took()
		require.Contains(t, heard, "REQUEST from 10.0.0.50")
		require.True(t, strings.HasSuffix(heard, "DISCOVER from 0.0.0.0"), heard)
	})
}

func TestClientNAKAndConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := stacktest.NewLAN(t)
		s := serve(t, lan)
		h := lan.Host(stacktest.HostConfig{})
		taken := lan.Host(stacktest.HostConfig{Addr: "10.0.0.50/24"})
		c, err := Start(h, Config{Interface: "eth0"})
		require.NoError(t, err)
		defer c.Close()
		pass(probed)
		require.Contains(t, s.took(), "DECLINE from 0.0.0.0")
		require.Empty(t, addresses(h, "eth0"))
		require.NoError(t, taken.DeleteAddress("eth0", ipv4.Address{Prefix: given}))
		pass(10*time.Second + probed)
		require.Equal(t, []string{"10.0.0.50/24"}, addresses(h, "eth0"))

		s.took()
		s.set(func() { s.naks = true })
		pass(30 * time.Minute)
		require.Empty(t, addresses(h, "eth0"), "refused at T1")
		s.set(func() { s.naks, s.next = false, "10.0.0.51" })
		pass(64*time.Second + probed)
		require.Equal(t, []string{"10.0.0.51/24"}, addresses(h, "eth0"))
	})
}

// RFC 2131, section 3.7: after the link was away the client asks whether its
// address is still good.
func TestClientLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := stacktest.NewLAN(t)
		s := serve(t, lan)
		s.more = []dhcpv4.Option{option(3, 10, 0, 0, 1)}
		h := lan.Host(stacktest.HostConfig{})
		c, err := Start(h, Config{Interface: "eth0"})
		require.NoError(t, err)
		defer c.Close()
		pass(probed)
		s.took()
		require.NoError(t, h.SetCarrier("eth0", false))
		pass(time.Minute)
		require.Empty(t, addresses(h, "eth0"))
		require.NoError(t, h.SetCarrier("eth0", true))
		pass(probed)
		require.Equal(t, "REQUEST from 0.0.0.0", s.took())
		require.Equal(t, Bound, c.State())
		require.Equal(t, []string{"10.0.0.50/24"}, addresses(h, "eth0"))
		require.Len(t, gateways(h), 1)

		require.NoError(t, h.SetCarrier("eth0", false))
		pass(time.Minute)
		s.set(func() { s.next = "10.0.0.60" }) // another network
		require.NoError(t, h.SetCarrier("eth0", true))
		pass(2 * probed)
		require.Equal(t, []string{"10.0.0.60/24"}, addresses(h, "eth0"))
	})
}

// Two interfaces have a client each.
func TestClients(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clients []*Client
		var h *stack.Host
		for n, name := range []string{"eth0", "eth1"} {
			lan := stacktest.NewLAN(t)
			s := serve(t, lan)
			s.more = []dhcpv4.Option{option(3, 10, 0, 0, 1)}
			s.next = []string{"10.0.0.50", "10.0.0.60"}[n]
			if h == nil {
				h = lan.Host(stacktest.HostConfig{})
			} else {
				lan.Attach(h, name, link.Addr{}, "", nil)
			}
			c, err := Start(h, Config{Interface: name})
			require.NoError(t, err)
			clients = append(clients, c)
		}
		pass(probed)
		require.Equal(t, []string{"10.0.0.50/24"}, addresses(h, "eth0"))
		require.Equal(t, []string{"10.0.0.60/24"}, addresses(h, "eth1"))
		require.Len(t, gateways(h), 2, "their metrics differ")
		for _, c := range slices.Backward(clients) {
			c.Close()
		}
		require.Empty(t, gateways(h))
	})
}
