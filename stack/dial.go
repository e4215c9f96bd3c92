package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/ipv4/tcp"
	"github.com/tapstack/tapstack/ipv4/udp"
)

// Resolver looks up the addresses of a name; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Dial connects to address on the network: "tcp", "tcp4", "udp", "udp4", or for a
// raw socket "ip4:icmp", "ip4:89" and so on, where address has no port. It is
// net.Dial from this host.
func (h *Host) Dial(network, address string) (net.Conn, error) {
	return h.DialContext(context.Background(), network, address)
}

// DialContext is Dial with a context that can end the attempt. An address whose
// host is empty means this host.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	fail := func(err error) (net.Conn, error) {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	if isRaw(network) {
		return h.dialRaw(ctx, network, address)
	}
	if err := known(network); err != nil {
		return fail(err)
	}
	addr, err := h.resolve(ctx, network, address)
	if err != nil {
		return fail(err)
	}
	if addr.Addr().IsUnspecified() {
		addr = netip.AddrPortFrom(loopback, addr.Port())
	}
	if isUDP(network) {
		return asConn(h.udp.Dial(netip.AddrPort{}, addr, udp.SocketConfig{Broadcast: true}))
	}
	return asConn(h.tcp.Dial(ctx, netip.AddrPort{}, addr, tcp.SocketConfig{}))
}

// Listen accepts connections on a local address: "tcp" or "tcp4". It is
// net.Listen on this host.
func (h *Host) Listen(network, address string) (net.Listener, error) {
	fail := func(err error) (net.Listener, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	if err := known(network); err != nil || isUDP(network) {
		return fail(net.UnknownNetworkError(network))
	}
	addr, err := h.resolve(context.Background(), network, address)
	if err != nil {
		return fail(err)
	}
	l, err := h.tcp.Listen(addr, tcp.SocketConfig{})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// ListenPacket receives datagrams on a local address: "udp" or "udp4", or the
// packets of a protocol, "ip4:icmp", "ip4:89" and so on, where address has no port.
// It is net.ListenPacket on this host.
func (h *Host) ListenPacket(network, address string) (net.PacketConn, error) {
	fail := func(err error) (net.PacketConn, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	if isRaw(network) {
		return h.listenRaw(network, address)
	}
	if !isUDP(network) {
		return fail(net.UnknownNetworkError(network))
	}
	addr, err := h.resolve(context.Background(), network, address)
	if err != nil {
		return fail(err)
	}
	c, err := h.udp.Listen(addr, udp.SocketConfig{Broadcast: true})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ListenMulticastUDP receives what is sent to a multicast group and port, on the
// interface called name, or with an empty name on the one that the route to the
// group leaves by. Others on this host may listen there too, and get the same. It
// is net.ListenMulticastUDP on this host.
func (h *Host) ListenMulticastUDP(network, name string, group netip.AddrPort) (*udp.Conn, error) {
	fail := func(err error) (*udp.Conn, error) {
		return nil, &net.OpError{Op: "listen", Net: network, Addr: net.UDPAddrFromAddrPort(group), Err: err}
	}
	if !isUDP(network) {
		return fail(net.UnknownNetworkError(network))
	}
	index := 0
	if name != "" {
		i := h.Interface(name)
		if i == nil {
			return fail(fmt.Errorf("stack: interface %s: %w", name, syscall.ENODEV))
		}
		index = i.Index()
	}
	c, err := h.udp.Listen(group, udp.SocketConfig{ReuseAddr: true, Broadcast: true})
	if err != nil {
		return nil, err
	}
	if err := errors.Join(c.SetMulticastInterface(index), c.SetMulticastLoopback(false), c.JoinGroup(index, group.Addr())); err != nil {
		c.Close()
		return fail(err)
	}
	return c, nil
}

// As in package net, UDP sockets may send broadcasts.

var loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})

func isUDP(network string) bool { return network == "udp" || network == "udp4" }

func known(network string) error {
	if isUDP(network) || network == "tcp" || network == "tcp4" {
		return nil
	}
	return net.UnknownNetworkError(network)
}

// asConn keeps a nil *Conn from becoming a net.Conn that is not nil.
func asConn[C net.Conn](c C, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	return c, nil
}

// resolve turns host:port into an address; both parts may be names.
func (h *Host) resolve(ctx context.Context, network, address string) (netip.AddrPort, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return netip.AddrPort{}, err
	}
	port, err := net.DefaultResolver.LookupPort(ctx, network, service)
	if err != nil {
		return netip.AddrPort{}, err
	}
	ip := netip.IPv4Unspecified()
	if host != "" {
		if ip, err = h.lookup(ctx, host); err != nil {
			return netip.AddrPort{}, err
		}
	}
	return netip.AddrPortFrom(ip, uint16(port)), nil
}

func (h *Host) lookup(ctx context.Context, host string) (netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		if ip = ip.Unmap(); !ip.Is4() {
			return netip.Addr{}, &net.AddrError{Err: "not an IPv4 address", Addr: host}
		}
		return ip, nil
	}
	ips, err := h.LookupNetIP(ctx, "ip4", host)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("stack: look up %s: %w", host, err)
	}
	for _, ip := range ips {
		if ip = ip.Unmap(); ip.Is4() {
			return ip, nil
		}
	}
	return netip.Addr{}, &net.DNSError{Err: "no IPv4 address", Name: host, IsNotFound: true}
}
