package control

import (
	"cmp"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"time"

	"github.com/tapstack/tapstack/ipv4/tcp"
)

// Sockets are a host's sockets and the process that has them all.
type Sockets struct {
	PID     int      `json:"pid"`
	Sockets []Socket `json:"sockets"`
}

// Socket is one of a host's sockets, with the values of ss(8).
type Socket struct {
	Netid  string         `json:"netid"` // tcp, udp, icmp
	State  string         `json:"state"` // as ss spells it
	RecvQ  int            `json:"recv_q"`
	SendQ  int            `json:"send_q"`
	Local  netip.AddrPort `json:"local"`
	Remote netip.AddrPort `json:"remote"`
	Dev    string         `json:"dev,omitempty"` // bound to
	Timer  *SocketTimer   `json:"timer,omitempty"`
	Memory *SocketMemory  `json:"skmem,omitempty"`
	TCP    *TCPInfo       `json:"tcp,omitempty"`
}

// SocketTimer is what a socket waits for: on (a retransmission), keepalive,
// timewait or persist.
type SocketTimer struct {
	Name    string        `json:"name"`
	Left    time.Duration `json:"left"` // ns
	Retrans int           `json:"retrans"`
}

// SocketMemory is what a socket's data takes, in bytes.
type SocketMemory struct {
	Receive       int    `json:"r"`
	ReceiveBuffer int    `json:"rb"`
	SendBuffer    int    `json:"tb"`
	Queued        int    `json:"w"`
	Drops         uint64 `json:"d"`
}

// TCPInfo is what a TCP socket knows about its connection, in Linux's units:
// windows in segments, times in milliseconds.
type TCPInfo struct {
	Timestamps  bool    `json:"ts,omitempty"`
	SACK        bool    `json:"sack,omitempty"`
	Congestion  string  `json:"cong_alg"`
	WScale      bool    `json:"has_wscale,omitempty"`
	SndWScale   uint8   `json:"snd_wscale"`
	RcvWScale   uint8   `json:"rcv_wscale"`
	RTO         float64 `json:"rto"`
	Backoff     int     `json:"backoff,omitempty"`
	RTT         float64 `json:"rtt"`
	RTTVar      float64 `json:"rttvar"`
	ATO         float64 `json:"ato,omitempty"`
	MSS         int     `json:"mss"`
	PMTU        int     `json:"pmtu"`
	RcvMSS      int     `json:"rcvmss"`
	AdvMSS      int     `json:"advmss"`
	Cwnd        int     `json:"cwnd"`
	Ssthresh    int     `json:"ssthresh,omitempty"` // 0: not set yet
	LastSent    float64 `json:"lastsnd"`
	LastRcv     float64 `json:"lastrcv"`
	Unacked     int     `json:"unacked,omitempty"`
	Retransmits int     `json:"retrans,omitempty"` // since the last progress
	Resent      int     `json:"retrans_total,omitempty"`
	Lost        int     `json:"lost,omitempty"`
	Sacked      int     `json:"sacked,omitempty"`
	DSACKDups   int     `json:"dsack_dups,omitempty"`
	Reordering  int     `json:"reordering,omitempty"` // segments, beyond the 3 that it begins with
	RcvSpace    int     `json:"rcv_space"`
	MinRTT      float64 `json:"minrtt,omitempty"`
	SndWnd      int     `json:"snd_wnd"`
	RcvOOO      int     `json:"rcv_ooopack,omitempty"`
}

// sockets lists everything, ping sockets first, then UDP, then TCP with its
// listeners first.
func (s *Server) sockets(*http.Request) (any, error) {
	out := Sockets{PID: os.Getpid(), Sockets: []Socket{}}
	names := map[int]string{}
	for _, i := range s.host.Interfaces() {
		names[i.Index()] = i.Name()
	}
	for _, i := range s.host.ICMP().Sockets() {
		local := i.Local
		if !local.IsValid() {
			local = netip.IPv4Unspecified()
		}
		out.Sockets = append(out.Sockets, Socket{Netid: "icmp", State: "UNCONN", RecvQ: i.Unread,
			Local: netip.AddrPortFrom(local, i.ID), Remote: nobody(), Dev: names[i.Interface]})
	}
	for _, i := range s.host.UDP().Sockets() {
		k := Socket{Netid: "udp", State: "UNCONN", RecvQ: i.Unread, Local: i.Local, Remote: nobody(), Dev: names[i.Interface],
			Memory: &SocketMemory{Receive: i.Unread, ReceiveBuffer: i.ReadBuffer, Drops: i.Dropped}}
		if i.Remote.IsValid() {
			k.State, k.Remote = "ESTAB", i.Remote
		}
		out.Sockets = append(out.Sockets, k)
	}
	list := s.host.TCP().Sockets()
	slices.SortFunc(list, func(a, b tcp.Info) int {
		la, lb := a.State != tcp.Listen, b.State != tcp.Listen
		switch {
		case la && !lb:
			return 1
		case lb && !la:
			return -1
		}
		return cmp.Or(a.Local.Compare(b.Local), a.Remote.Compare(b.Remote))
	})
	now := time.Now()
	for _, i := range list {
		k := describeTCP(i, now)
		k.Dev = names[i.Interface]
		out.Sockets = append(out.Sockets, k)
	}
	return out, nil
}

func nobody() netip.AddrPort { return netip.AddrPortFrom(netip.IPv4Unspecified(), 0) }

// socketStates are the states as ss spells them.
var socketStates = map[tcp.State]string{
	tcp.Closed: "UNCONN", tcp.Listen: "LISTEN", tcp.SynSent: "SYN-SENT", tcp.SynReceived: "SYN-RECV", tcp.Established: "ESTAB",
	tcp.FinWait1: "FIN-WAIT-1", tcp.FinWait2: "FIN-WAIT-2", tcp.CloseWait: "CLOSE-WAIT", tcp.Closing: "CLOSING",
	tcp.LastAck: "LAST-ACK", tcp.TimeWait: "TIME-WAIT",
}

// socketTimers are Linux's names of what TCP waits for. What acknowledges data is
// not shown.
var socketTimers = map[string]string{
	"on": "on", "persist": "persist", "keepalive": "keepalive", "orphan": "keepalive", "timewait": "timewait",
}

func describeTCP(i tcp.Info, now time.Time) Socket {
	k := Socket{Netid: "tcp", State: socketStates[i.State], RecvQ: i.RecvQ, SendQ: i.SendQ, Local: i.Local, Remote: i.Remote}
	if !k.Remote.IsValid() {
		k.Remote = nobody()
	}
	if name := socketTimers[i.Timer]; name != "" {
		k.Timer = &SocketTimer{Name: name, Left: max(i.TimerLeft, 0), Retrans: max(i.Retransmits, i.Probes)}
	}
	switch i.State {
	case tcp.TimeWait:
		return k
	case tcp.Listen:
		k.Memory = &SocketMemory{}
		return k
	}
	k.Memory = &SocketMemory{Receive: i.RecvQ, ReceiveBuffer: i.RcvBuf, SendBuffer: i.SndBuf, Queued: i.SendQ}
	mss := max(i.SndMSS, 1)
	k.TCP = &TCPInfo{
		Timestamps: i.Timestamps, SACK: i.SACK, Congestion: i.Congestion, WScale: i.WindowScaling, SndWScale: i.SndWScale, RcvWScale: i.RcvWScale,
		RTO: msec((i.RTO + time.Millisecond - 1).Truncate(time.Millisecond)), Backoff: i.Backoff, RTT: msec(i.RTT), RTTVar: msec(i.RTTVar), ATO: msec(i.ATO),
		MSS: i.SndMSS, PMTU: i.PMTU, RcvMSS: i.RcvMSS, AdvMSS: i.AdvMSS,
		Cwnd: max(i.SndCwnd/mss, 1), Ssthresh: i.SndSsthresh / mss,
		Unacked: (i.Unacked + mss - 1) / mss, Retransmits: i.Retransmits, Resent: i.Resent, Lost: (i.Lost + mss - 1) / mss,
		Sacked: (i.Sacked + mss - 1) / mss, DSACKDups: i.DSACKDups,
		RcvSpace: i.RcvWnd, MinRTT: msec(i.MinRTT), SndWnd: i.SndWnd, RcvOOO: i.OutOfOrder,
	}
	if i.Reordering != 3 {
		k.TCP.Reordering = i.Reordering
	}
	k.TCP.LastSent, k.TCP.LastRcv = age(i.LastDataSent, now), age(i.LastReceived, now)
	return k
}

func msec(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// age is how long ago something happened, in whole milliseconds.
func age(at, now time.Time) float64 { return float64(max(now.Sub(at), 0).Milliseconds()) }
