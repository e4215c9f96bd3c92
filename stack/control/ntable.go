package control

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/tapstack/tapstack/neighbour"
)

// NTable is a block of the neighbour table's parameters, as `ip ntable` shows it:
// the table's own block, with Limits and Stats, or that of an interface. Times
// are in milliseconds.
type NTable struct {
	Name   string           `json:"name"`
	Dev    string           `json:"dev,omitempty"`
	Limits *NTableLimits    `json:"limits,omitempty"`
	Stats  *neighbour.Stats `json:"stats,omitempty"`

	Reachable     int64 `json:"reachable"` // the random lifetime in force
	BaseReachable int64 `json:"base_reachable"`
	Retrans       int64 `json:"retrans"`
	GCStale       int64 `json:"gc_stale"`
	DelayProbe    int64 `json:"delay_probe"`
	Queue         int   `json:"queue"` // packets
	AppProbes     int   `json:"app_probes"`
	UcastProbes   int   `json:"ucast_probes"`
	McastProbes   int   `json:"mcast_probes"`
	McastReprobes int   `json:"mcast_reprobes"`
	AnycastDelay  int64 `json:"anycast_delay"`
	ProxyDelay    int64 `json:"proxy_delay"`
	ProxyQueue    int   `json:"proxy_queue"`
	LockTime      int64 `json:"locktime"`
}

// NTableLimits are the thresholds of the table.
type NTableLimits struct {
	Thresh1    int   `json:"thresh1"`
	Thresh2    int   `json:"thresh2"`
	Thresh3    int   `json:"thresh3"`
	GCInterval int64 `json:"gc_interval"` // ms
}

// ntableShow returns the table's block and those of its interfaces.
func (s *Server) ntableShow(r *http.Request) (any, error) {
	dev := r.URL.Query().Get("dev")
	if _, err := s.index(dev); err != nil {
		return nil, err
	}
	list := []NTable{}
	if dev == "" {
		n, err := s.ntable("", 0)
		if err != nil {
			return nil, err
		}
		stats := s.host.Neighbours().Stats()
		n.Stats = &stats
		if n.Limits, err = s.ntableLimits(); err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	for _, i := range s.host.Interfaces() {
		if dev != "" && dev != i.Name() {
			continue
		}
		n, err := s.ntable(i.Name(), i.Index())
		if err != nil {
			return nil, err
		}
		list = append(list, n)
	}
	return list, nil
}

func (s *Server) ntable(dev string, index int) (n NTable, err error) {
	p, err := s.host.Neighbours().Params(index)
	if err != nil {
		return n, fail(err, "ntable arp_cache dev %s", dev)
	}
	reachable, err := s.host.Neighbours().ReachableTime(index)
	if err != nil {
		return n, fail(err, "ntable arp_cache dev %s", dev)
	}
	// unres_qlen, in packets, is a view of unres_qlen_bytes: a full frame is
	// charged 2090 bytes.
	const fullFrame = 2090
	return NTable{
		Name: "arp_cache", Dev: dev,
		Reachable: ms(reachable), BaseReachable: ms(p.BaseReachableTime), Retrans: ms(p.RetransTime), GCStale: ms(p.GCStaleTime),
		DelayProbe: ms(p.DelayFirstProbeTime), Queue: p.UnresQueueBytes / fullFrame, AppProbes: p.AppProbes,
		UcastProbes: p.UcastProbes, McastProbes: p.McastProbes, McastReprobes: p.McastReprobes, AnycastDelay: ms(p.AnycastDelay),
		ProxyDelay: ms(p.ProxyDelay), ProxyQueue: p.ProxyQueueLen, LockTime: ms(p.LockTime),
	}, nil
}

func ms(d time.Duration) int64 { return d.Milliseconds() }

// ntableLimits reads the thresholds by the names that Linux has for them.
func (s *Server) ntableLimits() (*NTableLimits, error) {
	var v [4]int
	for n, name := range []string{"gc_thresh1", "gc_thresh2", "gc_thresh3", "gc_interval"} {
		text, err := s.host.Neighbours().Sysctl("default", name)
		if err == nil {
			v[n], err = strconv.Atoi(text)
		}
		if err != nil {
			return nil, fmt.Errorf("control: %s: %w", name, err)
		}
	}
	return &NTableLimits{v[0], v[1], v[2], int64(v[3]) * 1000}, nil
}
