package stack

import (
	"fmt"
	"net"
	"syscall"

	"github.com/tapstack/tapstack/link/packet"
)

// ListenPacketSocket returns a packet socket on the interface called name, or with
// an empty name on all interfaces: what Linux's AF_PACKET is. The interface in c is
// filled in. The error is ENODEV, and those of packet.Table's Listen.
func (h *Host) ListenPacketSocket(name string, c packet.SocketConfig) (*packet.Conn, error) {
	if name != "" {
		i := h.Interface(name)
		if i == nil {
			return nil, &net.OpError{Op: "listen", Net: "packet", Err: fmt.Errorf("stack: interface %s: %w", name, syscall.ENODEV)}
		}
		c.Interface = i.index
	}
	return h.packets.Listen(c)
}

// PacketSockets returns the host's packet sockets.
func (h *Host) PacketSockets() *packet.Table { return h.packets }

// packetLink is an interface as packet sockets need it.
func (h *Host) packetLink(index int) (packet.Link, bool) {
	for _, i := range *h.nics.Load() {
		if i.index == index {
			return packet.Link{Addr: i.Addr(), MTU: i.MTU(), Up: i.Up(), Write: i.writeFrom}, true
		}
	}
	return packet.Link{}, false
}
