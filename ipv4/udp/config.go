package udp

// SocketConfig is what a socket begins with. The zero value is what Linux gives
// a new socket.
type SocketConfig struct {
	// Interface is the index of the only interface that the socket receives
	// from and sends by (SO_BINDTODEVICE); 0 for any.
	Interface int
	// ReuseAddr lets sockets share an address if all of them ask for it
	// (SO_REUSEADDR): the newest gets what is sent to it, all of them get
	// broadcasts.
	ReuseAddr bool
	// Broadcast allows sending to broadcast addresses (SO_BROADCAST).
	Broadcast bool
	// ReceiveErrors has every ICMP error reported, see Conn.SetReceiveErrors.
	ReceiveErrors bool
	// TTL of what the socket sends to unicast and broadcast addresses; 0 for
	// the host's default.
	TTL uint8
	// TOS is the differentiated services field, with ECN (IP_TOS).
	TOS uint8
	// PathMTU says what happens to datagrams longer than the path carries.
	PathMTU PathMTU
	// ReadBuffer is the room in bytes for unread datagrams, see
	// Conn.SetReadBuffer; 0 for the protocol's default.
	ReadBuffer int
}

// PathMTU is how a socket deals with the limits of a path (IP_MTU_DISCOVER).
type PathMTU uint8

const (
	// Want sends with DF what fits the path, and longer datagrams in fragments.
	Want PathMTU = iota
	// Do sends with DF always, and EMSGSIZE answers longer datagrams.
	Do
	// Dont never sets DF: routers may fragment.
	Dont
)
