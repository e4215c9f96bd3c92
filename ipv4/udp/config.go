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
	// ReusePort lets sockets share an address if all of them ask for it
	// (SO_REUSEPORT): each flow goes to one of them, broadcasts to all.
	ReusePort bool
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

// PathMTU is how a socket deals with the limits of a path (IP_MTU_DISCOVER). The
// numbers are not Linux's.
type PathMTU uint8

const (
	// Want sends with DF what fits the path, and longer datagrams in fragments.
	Want PathMTU = iota
	// Do sends with DF always, and EMSGSIZE answers longer datagrams.
	Do
	// Dont never sets DF: routers may fragment.
	Dont
	// Probe sends with DF always, and EMSGSIZE answers datagrams that are too
	// long for the interface, whatever is known of the path.
	Probe
	// InterfaceMTU never sets DF, EMSGSIZE answers datagrams that are too long
	// for the interface, and nothing is learned of paths.
	InterfaceMTU
	// Omit is InterfaceMTU that sends longer datagrams in fragments.
	Omit
)

// learns reports whether what ICMP says about paths is believed (Linux's
// ip_sk_accept_pmtu).
func (m PathMTU) learns() bool { return m != InterfaceMTU && m != Omit }

// usesPath reports whether what is known of the path counts, and not only the
// interface (Linux's ip_sk_use_pmtu).
func (m PathMTU) usesPath() bool { return m == Want || m == Do || m == Dont }

// fragments reports whether datagrams may leave in fragments (Linux's
// ip_sk_ignore_df).
func (m PathMTU) fragments() bool { return m == Want || m == Dont || m == Omit }

// setsDF reports whether whole datagrams leave with DF.
func (m PathMTU) setsDF() bool { return m == Want || m == Do || m == Probe }
