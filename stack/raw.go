package stack

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/tapstack/tapstack/ipv4/raw"
)

// ipProtocols are the names of protocols that can be given to Dial and
// ListenPacket, beside numbers.
var ipProtocols = map[string]uint8{
	"icmp": 1, "igmp": 2, "ipencap": 4, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "ospf": 89, "pim": 103, "vrrp": 112, "sctp": 132, "raw": 255,
}

// isRaw reports whether a network is for raw sockets: "ip:icmp", "ip4:89".
func isRaw(network string) bool {
	name, _, ok := strings.Cut(network, ":")
	return ok && (name == "ip" || name == "ip4")
}

func (h *Host) dialRaw(ctx context.Context, network, address string) (net.Conn, error) {
	protocol, addr, err := h.rawAddr(ctx, network, address)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: network, Err: err}
	}
	if addr.IsUnspecified() {
		addr = loopback
	}
	return asConn(h.raw.Dial(netip.Addr{}, addr, protocol, raw.SocketConfig{Network: network, Broadcast: true}))
}

func (h *Host) listenRaw(network, address string) (net.PacketConn, error) {
	protocol, addr, err := h.rawAddr(context.Background(), network, address)
	if err != nil {
		return nil, &net.OpError{Op: "listen", Net: network, Err: err}
	}
	c, err := h.raw.Listen(addr, protocol, raw.SocketConfig{Network: network, Broadcast: true})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// rawAddr returns the protocol in a network, and the address.
func (h *Host) rawAddr(ctx context.Context, network, address string) (uint8, netip.Addr, error) {
	_, name, _ := strings.Cut(network, ":")
	protocol, ok := ipProtocols[strings.ToLower(name)]
	if !ok {
		n, err := strconv.ParseUint(name, 10, 8)
		if err != nil {
			return 0, netip.Addr{}, &net.AddrError{Err: "unknown IP protocol specified", Addr: name}
		}
		protocol = uint8(n)
	}
	if address == "" {
		return protocol, netip.IPv4Unspecified(), nil
	}
	addr, err := h.lookup(ctx, address)
	return protocol, addr, err
}
