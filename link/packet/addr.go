package packet

import (
	"fmt"

	"github.com/tapstack/tapstack/link"
)

// All is every EtherType (Linux's ETH_P_ALL). Only sockets for it see the frames
// that the host sends.
const All link.EtherType = 3

// network is what addresses and errors call it.
const network = "packet"

// Addr is where a frame came from or goes (struct sockaddr_ll), a net.Addr. To send
// from a cooked socket, give the address of the station and perhaps the protocol;
// from another one only the interface matters, as for a cooked one where it is 0:
// then it is the socket's.
type Addr struct {
	Interface int            // index
	Protocol  link.EtherType // of what is in the frame
	Type      link.PacketType
	Addr      link.Addr // who sent a received frame; to whom to send
}

// Network returns "packet".
func (a *Addr) Network() string { return network }

// String returns address, protocol and interface.
func (a *Addr) String() string {
	protocol := a.Protocol.String()
	if a.Protocol == All {
		protocol = "all"
	}
	if a.Addr.IsZero() {
		return fmt.Sprintf("%s%%%d", protocol, a.Interface)
	}
	return fmt.Sprintf("%s/%s%%%d", a.Addr, protocol, a.Interface)
}
