package tcp

import (
	"net/netip"
	"time"
)

// Info is a snapshot of a socket, with the values of Linux's struct tcp_info.
// Sizes are in bytes where Linux counts segments.
type Info struct {
	State         State
	Local, Remote netip.AddrPort
	Interface     int // bound to, 0: any

	CAState     string // open, disorder, recovery, loss
	Congestion  string
	Retransmits int // timeouts since the last progress
	Resent      int // segments sent again, ever
	Probes      int // probes without an answer
	Backoff     int
	Timer       string // "on", "persist", "delack", "keepalive", "orphan" or ""
	TimerLeft   time.Duration

	Timestamps             bool
	WindowScaling          bool
	SndWScale, RcvWScale   uint8
	RTO, ATO               time.Duration
	SndMSS, RcvMSS         int
	AdvMSS, PMTU           int
	RTT, RTTVar, MinRTT    time.Duration
	SndCwnd, SndSsthresh   int    // ssthresh 0: not set yet
	PacingRate             uint64 // bytes a second, 0: not paced
	MaxPacingRate          uint64 // SetMaxPacingRate's, 0: none
	DeliveryRate           uint64 // bytes a second that arrived in the last round trip, 0: not known
	ECN                    bool
	RcvRTT                 time.Duration // as the receiver of a bulk stream measures it; 0: it does not
	RcvSpace               int           // bytes that the user read in a round trip
	Unacked, Lost, DupAcks int           // bytes; bytes that wait to be sent again; ACKs, without SACK
	SACK                   bool
	Sacked, Retrans        int // bytes that the peer holds out of order; bytes whose retransmission is under way
	Reordering             int // segments, the degree that is allowed for
	ReordSeen, DSACKDups   int // events; segments
	SndWnd, RcvWnd         int
	RecvQ, SendQ           int // bytes unread; unacknowledged. Of a listener: connections waiting; backlog
	RcvBuf, SndBuf         int // bytes that fit into the buffers
	OutOfOrder             int // segments that wait for a gap
	Unsent, Retransmitted  int // bytes; segments in flight that were sent again
	LastDataSent           time.Time
	LastReceived           time.Time
	Closed                 bool // by its user
	SoftError              error
}

// Info returns a snapshot of the connection.
func (c *Conn) Info() Info {
	now := c.now()
	c.lock()
	defer c.unlock()
	i := Info{
		State: c.state, Local: c.key.local(), Remote: c.key.remote(), Interface: c.config.Interface,
		CAState: c.loss.phase.String(), Congestion: c.congestionLocked(), Retransmits: int(c.retries), Probes: int(c.probes),
		Resent: int(c.resent), Backoff: c.rto.backoff, Timestamps: c.ts.ok, WindowScaling: c.scaling,
		SndWScale: c.snd.scale, RcvWScale: c.rcv.scale, RTO: c.rto.current(), ATO: c.ack.ato,
		SndMSS: c.snd.mss, RcvMSS: int(c.rcv.mss), AdvMSS: min(max(c.snd.pmtu-40, minMSS), maxMSS), PMTU: c.snd.pmtu,
		RTT: c.rtt.srtt, RTTVar: c.rtt.rttvar, MinRTT: c.rtt.min,
		SndCwnd: c.win.cwnd, Unacked: c.snd.inFlight(), Lost: int(c.loss.lost), DupAcks: int(c.loss.dupAcks),
		SACK: c.loss.sack, Reordering: initialReordering,
		SndWnd: c.snd.wnd, RcvWnd: c.rcv.window(), RecvQ: c.rcv.queue.bytes, SendQ: c.snd.buf.len(),
		OutOfOrder: len(c.rcv.ofo.pieces), LastDataSent: c.lastSent.time(c.pr.epoch), LastReceived: c.lastHeard.time(c.pr.epoch), Closed: c.closed,
		Unsent: c.snd.unsent(), Retransmitted: c.retransmittedLocked(),
	}
	i.RcvBuf, i.SndBuf = c.rcv.limit, c.snd.capacity(c.win.cwnd)
	if c.win.ssthresh < maxCongestionWindow {
		i.SndSsthresh = c.win.ssthresh
	}
	if r := c.loss.r; r != nil {
		i.Sacked, i.Retrans = r.sacked, r.retrans
		i.Reordering, i.ReordSeen, i.DSACKDups = int(r.reordering), int(r.reordSeen), int(r.dsackDups)
	}
	i.PacingRate, i.MaxPacingRate, i.ECN = c.pacingRateLocked(), c.config.MaxPacingRate, c.ecn&ecnOK != 0
	if c.flow != nil {
		i.DeliveryRate = c.flow.rate
	}
	if t := c.rcv.tune; t != nil {
		i.RcvRTT, i.RcvSpace = t.rtt, t.space
	}
	if c.softErr != 0 {
		i.SoftError = c.softErr
	}
	var first moment
	for k := range timerUser {
		if at := c.timers.at[k]; at != 0 && (first == 0 || at < first) {
			first, i.Timer, i.TimerLeft = at, k.String(), at.sub(c.moment(now))
		}
	}
	return i
}

// Info returns a snapshot of the listener.
func (l *Listener) Info() Info {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Info{State: Listen, Local: l.addrPort(), Interface: l.config.Interface,
		RecvQ: len(l.queue), SendQ: l.backlog, Closed: l.closed}
}

// Sockets returns a snapshot of every socket, in no order: listeners,
// connections, those in TIME-WAIT.
func (pr *Protocol) Sockets() []Info {
	var all []Info
	if m := pr.demux.listeners.Load(); m != nil {
		for _, l := range *m {
			all = append(all, l.Info())
		}
	}
	now := pr.config.Clock.Now()
	for _, e := range pr.demux.all() {
		if e.conn != nil {
			all = append(all, e.conn.Info())
			continue
		}
		all = append(all, pr.waits.info(e.tw, now))
	}
	return all
}

func (t *timeWaits) info(w *timeWait, now time.Time) Info {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Info{State: TimeWait, Local: w.key.local(), Remote: w.key.remote(), Timestamps: w.ts.ok,
		Timer: "timewait", TimerLeft: w.expires.Sub(now), Closed: true}
}
