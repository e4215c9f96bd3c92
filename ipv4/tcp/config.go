package tcp

import (
	"math/rand/v2"
	"net"
	"time"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
)

// Config holds what a Protocol needs from its host and the values that Linux
// has under net.ipv4.tcp_*. A zero value means the default.
type Config struct {
	Clock clock.Clock
	Rand  *rand.Rand  // safe for concurrent use, as package random's are; nil: random.Secure
	Drops *link.Drops // nil: counted, but nobody sees them

	SynRetries    int           // tcp_syn_retries; default 6
	SynAckRetries int           // tcp_synack_retries; default 5
	Retries       int           // tcp_retries2; default 15
	OrphanRetries int           // tcp_orphan_retries; default 8
	FinTimeout    time.Duration // tcp_fin_timeout: FIN-WAIT-2 without an owner; default 60 s
	TimeWait      time.Duration // length of TIME-WAIT; default 60 s
	MaxTimeWait   int           // tcp_max_tw_buckets; default 65536
	MaxBacklog    int           // somaxconn: limit of a listener's backlog; default 4096

	NoSACK  bool // tcp_sack off: don't offer nor accept selective acknowledgements
	NoDSACK bool // tcp_dsack off: don't report duplicates

	ReceiveBuffer int // what the receive buffer begins with; default 128 KiB (tcp_rmem[1])
	SendBuffer    int // most that the send buffer grows to by itself; default 4 MiB (tcp_wmem[2])
	// MaxReceiveBuffer is the most that the receive buffer grows to, by itself or
	// by SetReadBuffer, and what the window scale is chosen for; default 6 MiB
	// (tcp_rmem[2]). Where data comes in plain frames, it grows to 1 MiB by itself.
	MaxReceiveBuffer        int
	NoModerateReceiveBuffer bool // the buffer stays as it begins (tcp_moderate_rcvbuf=0)

	Congestion           string // one of CongestionControls; default "cubic" (tcp_congestion_control)
	ECN                  ECN    // default ECNPassive (tcp_ecn=2)
	NoSlowStartAfterIdle bool   // keep the window over pauses (tcp_slow_start_after_idle=0)
	NoSyncookies         bool   // drop SYNs when the backlog is full (tcp_syncookies=0)
}

// Default sizes in bytes, Linux's. The receive buffer is also the window, once that
// is scaled.
const (
	defaultReceiveBuffer    = 128 << 10
	defaultSendBuffer       = 4 << 20
	defaultMaxReceiveBuffer = 6 << 20
	minBuffer               = 4 << 10
)

func (c Config) withDefaults() Config {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&c.SynRetries, 6)
	def(&c.SynAckRetries, 5)
	def(&c.Retries, 15)
	def(&c.OrphanRetries, 8)
	def(&c.MaxTimeWait, 65536)
	def(&c.MaxBacklog, 4096)
	def(&c.ReceiveBuffer, defaultReceiveBuffer)
	def(&c.SendBuffer, defaultSendBuffer)
	def(&c.MaxReceiveBuffer, defaultMaxReceiveBuffer)
	if newCongestionControl(c.Congestion) == nil {
		c.Congestion = nameCubic
	}
	if c.FinTimeout <= 0 {
		c.FinTimeout = time.Minute
	}
	if c.TimeWait <= 0 {
		c.TimeWait = time.Minute
	}
	if c.Drops == nil {
		c.Drops = new(link.Drops)
	}
	return c
}

// SocketConfig is what a connection or a listener, and the connections it
// accepts, begin with. A zero value means the default.
type SocketConfig struct {
	// ReceiveBuffer is how many bytes wait for Read; by default it is sized by how
	// fast they are read, from Config.ReceiveBuffer to Config.MaxReceiveBuffer.
	ReceiveBuffer int
	SendBuffer    int // bytes that wait for acknowledgement; default: see Conn.SetWriteBuffer
	MSS           int // at most this many bytes in a segment either way (TCP_MAXSEG)
	// Nagle delays short segments while another is not acknowledged. The
	// default is not to, as in package net.
	Nagle        bool
	NoTimestamps bool                // don't offer nor accept timestamps
	NoScaling    bool                // don't offer nor accept window scaling
	NoSACK       bool                // don't offer nor accept selective acknowledgements
	NoDSACK      bool                // don't report duplicates
	KeepAlive    net.KeepAliveConfig // see Conn.SetKeepAliveConfig; default off
	Interface    int                 // index of the interface that all packets leave by; 0: the route's
	TTL, TOS     uint8
	Backlog      int // of a listener; default Config.MaxBacklog
	// ReuseAddr lets others bind to the port while the connection, or what
	// TIME-WAIT leaves of it, has it (SO_REUSEADDR, see Bind).
	ReuseAddr bool
	// NotSentLowat has writers wait while so many bytes were never sent; 0: off
	// (TCP_NOTSENT_LOWAT).
	NotSentLowat int
	SynRetries   int           // of an active open (TCP_SYNCNT); default Config.SynRetries
	FinTimeout   time.Duration // TCP_LINGER2; default Config.FinTimeout, negative: no FIN-WAIT-2 without an owner
	// Pacing spreads segments over the round trip, as Linux does with the fq queueing
	// discipline; the default is to send what the windows allow at once.
	Pacing        bool
	MaxPacingRate uint64 // bytes a second (SO_MAX_PACING_RATE), 0: no limit; implies Pacing
	Congestion    string // one of CongestionControls (TCP_CONGESTION); default Config.Congestion
}

// socketConfig returns sc with the defaults, to be shared by the connections that
// begin with it and never changed.
func (pr *Protocol) socketConfig(sc SocketConfig) *SocketConfig {
	if sc == (SocketConfig{}) && pr.plain != nil {
		return pr.plain
	}
	sc.KeepAlive = keepAlive(sc.KeepAlive)
	return &sc
}

// keepAlive fills in Linux's defaults for what is not positive.
func keepAlive(k net.KeepAliveConfig) net.KeepAliveConfig {
	if k.Idle <= 0 {
		k.Idle = 2 * time.Hour // tcp_keepalive_time
	}
	if k.Interval <= 0 {
		k.Interval = 75 * time.Second // tcp_keepalive_intvl
	}
	if k.Count <= 0 {
		k.Count = 9 // tcp_keepalive_probes
	}
	return k
}

// scaleFor returns the shift with which a window of n bytes fits the header's
// field (RFC 7323 section 2.2).
func scaleFor(n int) uint8 {
	var s uint8
	for s < maxWindowScale && 0xffff<<s < n {
		s++
	}
	return s
}
