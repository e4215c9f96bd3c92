package sock

import (
	"encoding/json"
	"math"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/ipv4/tcp"
)

// tcpOptions are those of IPPROTO_TCP.
type tcpOptions struct {
	noDelay, cork                     bool
	quickAck                          *bool // nil: not set
	maxSeg                            int
	userTimeout                       int // ms
	keepIdle, keepInterval, keepCount int // s, s
	synCount                          int
	linger2                           int // s; 0: the host's, negative: none
	deferAccept                       int // retransmissions
	notSentLowat                      int // as unsigned
	windowClamp                       int
}

func tcpOptionTable() []option {
	return []option{
		flag("TCP_NODELAY", true, func(o *options) *bool { return &o.tcp.noDelay }),
		flag("TCP_CORK", true, func(o *options) *bool { return &o.tcp.cork }),
		{name: "TCP_MAXSEG", tcp: true,
			get: func(s *socket) (any, syscall.Errno) { return s.impl.(*tcpSocket).maxSeg(), 0 },
			set: func(o *options, v int) syscall.Errno {
				if v != 0 && (v < minUserMSS || v > maxUserMSS) {
					return syscall.EINVAL
				}
				o.tcp.maxSeg = v
				return 0
			}},
		ranged("TCP_USER_TIMEOUT", true, 0, math.MaxInt32, func(o *options) *int { return &o.tcp.userTimeout }),
		ranged("TCP_KEEPIDLE", true, 1, maxKeepTime, func(o *options) *int { return &o.tcp.keepIdle }),
		ranged("TCP_KEEPINTVL", true, 1, maxKeepTime, func(o *options) *int { return &o.tcp.keepInterval }),
		ranged("TCP_KEEPCNT", true, 1, maxKeepCount, func(o *options) *int { return &o.tcp.keepCount }),
		{name: "TCP_SYNCNT", tcp: true,
			get: func(s *socket) (any, syscall.Errno) {
				if n := s.options.tcp.synCount; n > 0 {
					return n, 0
				}
				return s.p.config.TCP.Defaults().SynRetries, 0
			},
			set: func(o *options, v int) syscall.Errno {
				if v < 1 || v > maxKeepCount {
					return syscall.EINVAL
				}
				o.tcp.synCount = v
				return 0
			}},
		{name: "TCP_LINGER2", tcp: true,
			get: func(s *socket) (any, syscall.Errno) {
				switch v := s.options.tcp.linger2; {
				case v < 0:
					return -1, 0
				case v > 0:
					return v, 0
				}
				return int(s.p.config.TCP.Defaults().FinTimeout / time.Second), 0
			},
			set: func(o *options, v int) syscall.Errno { o.tcp.linger2 = min(max(v, -1), maxLinger2); return 0 }},
		{name: "TCP_DEFER_ACCEPT", tcp: true,
			get: func(s *socket) (any, syscall.Errno) { return secondsOf(s.options.tcp.deferAccept), 0 },
			set: func(o *options, v int) syscall.Errno { o.tcp.deferAccept = retransmissions(v); return 0 }},
		{name: "TCP_NOTSENT_LOWAT", tcp: true,
			get: func(s *socket) (any, syscall.Errno) { return int(int32(s.options.tcp.notSentLowat)), 0 },
			set: func(o *options, v int) syscall.Errno { o.tcp.notSentLowat = int(uint32(v)); return 0 }},
		{name: "TCP_CONGESTION", tcp: true,
			get: func(s *socket) (any, syscall.Errno) { return s.impl.(*tcpSocket).info().Congestion, 0 },
			raw: func(s *socket, raw json.RawMessage) syscall.Errno {
				var name string
				if json.Unmarshal(raw, &name) != nil {
					return syscall.EINVAL
				}
				if name != s.impl.(*tcpSocket).info().Congestion {
					return syscall.ENOENT
				}
				return 0
			}},
		{name: "TCP_QUICKACK", tcp: true,
			get: func(s *socket) (any, syscall.Errno) {
				if t := s.impl.(*tcpSocket); t.conn != nil {
					return number(t.conn.QuickAck()), 0
				}
				q := s.options.tcp.quickAck
				return number(q == nil || *q), 0
			},
			set: func(o *options, v int) syscall.Errno { on := v != 0; o.tcp.quickAck = &on; return 0 }},
		{name: "TCP_WINDOW_CLAMP", tcp: true,
			get: func(s *socket) (any, syscall.Errno) { return s.options.tcp.windowClamp, 0 },
			raw: func(s *socket, raw json.RawMessage) syscall.Errno {
				v, errno := integer(raw)
				switch t := s.impl.(*tcpSocket); {
				case errno != 0:
				case v == 0 && t.state() != tcp.Closed:
					errno = syscall.EINVAL
				case v == 0:
					s.options.tcp.windowClamp = 0
				default:
					s.options.tcp.windowClamp = max(v, minRcvbuf/2)
				}
				return errno
			}},
		{name: "TCP_INFO", tcp: true, get: func(s *socket) (any, syscall.Errno) { return s.impl.(*tcpSocket).tcpInfo(), 0 }},
	}
}

// retransmissions and secondsOf turn TCP_DEFER_ACCEPT's seconds into
// retransmissions of the SYN-ACK, and back (secs_to_retrans, retrans_to_secs).
func retransmissions(seconds int) int {
	if seconds <= 0 {
		return 0
	}
	n, timeout, period := 1, 1, 1
	for ; seconds > period && n < 255; n++ {
		timeout = min(2*timeout, 120)
		period += timeout
	}
	return n
}

func secondsOf(retransmissions int) int {
	if retransmissions <= 0 {
		return 0
	}
	timeout, period := 1, 1
	for range retransmissions - 1 {
		timeout = min(2*timeout, 120)
		period += timeout
	}
	return period
}

// tcpStates are Linux's numbers.
var tcpStates = [...]int{tcp.Closed: 7, tcp.Listen: 10, tcp.SynSent: 2, tcp.SynReceived: 3, tcp.Established: 1, tcp.FinWait1: 4,
	tcp.FinWait2: 5, tcp.CloseWait: 8, tcp.Closing: 11, tcp.LastAck: 9, tcp.TimeWait: 6}

// caStates are the numbers of tcpi_ca_state.
var caStates = map[string]int{"open": 0, "disorder": 1, "cwr": 2, "recovery": 3, "loss": 4}

const infiniteSsthresh = 0x7fffffff

// tcpInfo is struct tcp_info: segments, microseconds and milliseconds as there.
func (t *tcpSocket) tcpInfo() map[string]any {
	i, now := t.info(), t.p.config.Clock.Now()
	us := func(d time.Duration) int64 { return d.Microseconds() }
	ms := func(at time.Time) int64 {
		if at.IsZero() {
			return 0
		}
		return now.Sub(at).Milliseconds()
	}
	mss := max(i.SndMSS, 1)
	segments := func(n int) int { return (n + mss - 1) / mss }
	sacked := i.DupAcks
	if i.SACK {
		sacked = segments(i.Sacked)
	}
	v := map[string]any{
		"tcpi_state": tcpStates[i.State], "tcpi_ca_state": caStates[i.CAState], "tcpi_retransmits": i.Retransmits,
		"tcpi_probes": i.Probes, "tcpi_backoff": i.Backoff, "tcpi_options": number(i.Timestamps) | number(i.SACK)<<1 | number(i.WindowScaling)<<2,
		"tcpi_snd_wscale": i.SndWScale, "tcpi_rcv_wscale": i.RcvWScale, "tcpi_rto": us(i.RTO), "tcpi_ato": us(i.ATO),
		"tcpi_snd_mss": i.SndMSS, "tcpi_rcv_mss": i.RcvMSS, "tcpi_unacked": segments(i.Unacked), "tcpi_sacked": sacked,
		"tcpi_lost": segments(i.Lost), "tcpi_retrans": i.Retransmitted, "tcpi_fackets": 0, "tcpi_last_data_sent": ms(i.LastDataSent),
		"tcpi_last_ack_sent": 0, "tcpi_last_data_recv": ms(i.LastReceived), "tcpi_last_ack_recv": ms(i.LastReceived),
		"tcpi_pmtu": i.PMTU, "tcpi_rtt": us(i.RTT), "tcpi_rttvar": us(i.RTTVar), "tcpi_snd_ssthresh": infiniteSsthresh,
		"tcpi_snd_cwnd": i.SndCwnd / mss, "tcpi_advmss": i.AdvMSS, "tcpi_reordering": max(i.Reordering, 3), "tcpi_min_rtt": us(i.MinRTT),
		"tcpi_notsent_bytes": i.Unsent, "tcpi_snd_wnd": i.SndWnd, "tcpi_rcv_wnd": i.RcvWnd, "tcpi_rcv_ooopack": i.OutOfOrder,
	}
	if i.SndSsthresh > 0 {
		v["tcpi_snd_ssthresh"] = i.SndSsthresh / mss
	}
	if i.Timestamps { // they are in every segment
		v["tcpi_advmss"] = i.AdvMSS - 12
	}
	if i.State == tcp.Listen {
		v["tcpi_unacked"], v["tcpi_sacked"] = i.RecvQ, i.SendQ
		for _, k := range []string{"tcpi_snd_mss", "tcpi_rcv_mss", "tcpi_snd_ssthresh", "tcpi_rto"} {
			v[k] = 0 // tcp_get_info stops before these
		}
	}
	return v
}
