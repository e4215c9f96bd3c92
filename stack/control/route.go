package control

import (
	"cmp"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/ipv4"
)

// Route is an entry of the routing table, or what it says about one destination.
type Route struct {
	Type     string        `json:"type,omitempty"` // unicast when empty
	Dst      netip.Prefix  `json:"dst"`
	TOS      uint8         `json:"tos,omitempty"`
	Gateway  netip.Addr    `json:"gateway,omitzero"`
	Dev      string        `json:"dev,omitempty"`
	Protocol uint8         `json:"protocol,omitempty"` // rtm_protocol's numbers
	Scope    string        `json:"scope,omitempty"`    // in commands: "" for what the type suggests
	PrefSrc  netip.Addr    `json:"prefsrc,omitzero"`
	Metric   uint32        `json:"metric,omitempty"`
	MTU      int           `json:"mtu,omitempty"`
	MTULock  bool          `json:"mtu_lock,omitempty"`
	Metrics  []RouteMetric `json:"metrics,omitempty"` // but for the MTU
	OnLink   bool          `json:"onlink,omitempty"`
	Flags    []string      `json:"flags,omitempty"` // dead, linkdown
	Table    string        `json:"table,omitempty"` // main, local, default or a number
	NextHops []NextHop     `json:"nexthops,omitempty"`
	// Expires is when what ICMP told of the way to Dst is forgotten, in seconds.
	Expires    int  `json:"expires,omitempty"`
	Redirected bool `json:"redirected,omitempty"`
}

// RouteMetric is a metric by iproute2's name.
type RouteMetric struct {
	Name  string `json:"name"`
	Value uint32 `json:"value"`
	Lock  bool   `json:"lock,omitempty"`
}

// NextHop is one of a route's.
type NextHop struct {
	Gateway netip.Addr `json:"gateway,omitzero"`
	Dev     string     `json:"dev,omitempty"`
	Weight  int        `json:"weight,omitempty"`
	OnLink  bool       `json:"onlink,omitempty"`
	Flags   []string   `json:"flags,omitempty"`
}

// tables are rt_tables' names.
var tables = map[uint8]string{ipv4.TableDefault: "default", ipv4.TableMain: "main", ipv4.TableLocal: "local"}

func tableName(id uint8) string {
	if s := tables[id]; s != "" {
		return s
	}
	return strconv.Itoa(int(id))
}

// parseTable reads a name of tables, or a number; "" is 0, for what the type suggests.
func parseTable(name string) (uint8, error) {
	for id, s := range tables {
		if s == name {
			return id, nil
		}
	}
	n, err := strconv.ParseUint(cmp.Or(name, "0"), 0, 8)
	if err != nil {
		return 0, invalid("control: %q is no table: want main, local, default or a number up to 255", name)
	}
	return uint8(n), nil
}

func (s *Server) routeShow(r *http.Request) (any, error) {
	table := cmp.Or(r.URL.Query().Get("table"), "main")
	list := []Route{}
	all := s.host.IPv4().Routes()
	// The order in which Linux dumps a table: by destination, longer prefixes
	// first, then by TOS and metric.
	slices.SortStableFunc(all, func(a, b ipv4.Route) int {
		return cmp.Or(cmp.Compare(a.Table, b.Table), a.Dst.Addr().Compare(b.Dst.Addr()), cmp.Compare(b.Dst.Bits(), a.Dst.Bits()))
	})
	for _, x := range all {
		if rt := s.routeOf(x); table == "all" || table == rt.Table {
			list = append(list, rt)
		}
	}
	return list, nil
}

func (s *Server) routeOf(x ipv4.Route) Route {
	r := Route{
		Dst: x.Dst, TOS: x.TOS, Gateway: x.Gateway, Dev: s.name(x.Interface), Protocol: x.Protocol, Scope: scopeName(x.Scope),
		PrefSrc: x.Src, Metric: x.Metric, MTU: x.MTU, OnLink: x.OnLink, Table: tableName(x.Table), Flags: hopFlags(x.Dead, x.LinkDown),
	}
	if x.Type != ipv4.Unicast {
		r.Type = x.Type.String()
	}
	for m, v := range x.Metrics.Values {
		locked := x.Metrics.Locked&(1<<m) != 0
		switch {
		case ipv4.Metric(m) == ipv4.MetricMTU:
			r.MTULock = locked
		case v != 0 || locked:
			r.Metrics = append(r.Metrics, RouteMetric{ipv4.Metric(m).String(), v, locked})
		}
	}
	for _, h := range x.NextHops {
		r.NextHops = append(r.NextHops, NextHop{Gateway: h.Gateway, Dev: s.name(h.Interface), Weight: h.Weight, OnLink: h.OnLink, Flags: hopFlags(h.Dead, h.LinkDown)})
	}
	return r
}

func hopFlags(dead, down bool) (flags []string) {
	if dead {
		flags = append(flags, "dead")
	}
	if down {
		flags = append(flags, "linkdown")
	}
	return flags
}

// name returns the interface's name, "" when there is none.
func (s *Server) name(index int) string {
	for _, i := range s.host.Interfaces() {
		if i.Index() == index {
			return i.Name()
		}
	}
	return ""
}

// route returns what a Route in a command is to the host.
func (s *Server) route(rt Route) (x ipv4.Route, err error) {
	x = ipv4.Route{
		Dst: rt.Dst, TOS: rt.TOS, Gateway: rt.Gateway, Src: rt.PrefSrc, Metric: rt.Metric, Protocol: rt.Protocol, MTU: rt.MTU,
		OnLink: rt.OnLink, Exact: rt.Scope != "",
	}
	if x.Interface, err = s.index(rt.Dev); err != nil {
		return x, err
	}
	if x.Scope, err = parseScope(rt.Scope); err != nil {
		return x, err
	}
	if x.Table, err = parseTable(rt.Table); err != nil {
		return x, err
	}
	if rt.MTULock {
		x.Metrics.Locked |= 1 << ipv4.MetricMTU
	}
	for _, m := range rt.Metrics {
		n := -1
		for k := range ipv4.NumMetrics {
			if k.String() == m.Name {
				n = int(k)
			}
		}
		if n < 0 {
			return x, invalid("control: %q is no metric of a route", m.Name)
		}
		x.Metrics.Values[n] = m.Value
		if m.Lock {
			x.Metrics.Locked |= 1 << n
		}
	}
	for _, h := range rt.NextHops {
		hop := ipv4.NextHopOf{Gateway: h.Gateway, Weight: h.Weight, OnLink: h.OnLink}
		if hop.Interface, err = s.index(h.Dev); err != nil {
			return x, err
		}
		x.NextHops = append(x.NextHops, hop)
	}
	if rt.Type != "" {
		var ok bool
		if x.Type, ok = ipv4.ParseRouteType(rt.Type); !ok {
			return x, invalid("control: %q is no type of route", rt.Type)
		}
	}
	return x, nil
}

// destination returns iproute2's form of a prefix.
func destination(p netip.Prefix) string {
	switch {
	case p.Bits() == 0:
		return "default"
	case p.IsSingleIP():
		return p.Addr().String()
	}
	return p.String()
}

// refused is fail, with Linux's words about what was wrong, if it has some.
func refused(err error, format string, args ...any) error {
	out := fail(err, format, args...)
	var why *ipv4.Refusal
	var e *Error
	if errors.As(err, &why) && errors.As(out, &e) {
		e.Kernel = why.Words
		words := strings.TrimPrefix(why.Words, "ipv4: ")
		words = strings.ToLower(words[:1]) + words[1:]
		e.Text += " (" + words + ")"
	}
	return out
}

// routeSet returns the endpoint of a command that adds or changes a route.
func (s *Server) routeSet(flags ipv4.RouteFlags) endpoint {
	return func(r *http.Request) (any, error) {
		var rt Route
		if err := decode(r, &rt); err != nil {
			return nil, err
		}
		x, err := s.route(rt)
		if err != nil {
			return nil, err
		}
		if x.Type == ipv4.Local && x.Interface == 0 {
			err = syscall.ENODEV // as for Linux; a program may leave it out
		} else {
			err = s.host.IPv4().SetRoute(x, flags)
		}
		if err != nil {
			return nil, refused(err, "route %s", destination(rt.Dst))
		}
		return struct{}{}, nil
	}
}

func (s *Server) routeDelete(r *http.Request) (any, error) {
	var rt Route
	if err := decode(r, &rt); err != nil {
		return nil, err
	}
	x, err := s.route(rt)
	if err != nil {
		return nil, err
	}
	if err := s.host.IPv4().DeleteRoute(x); err != nil {
		return nil, refused(err, "route %s", destination(rt.Dst))
	}
	return struct{}{}, nil
}

// routeForget forgets what ICMP taught.
func (s *Server) routeForget(*http.Request) (any, error) {
	s.host.IPv4().ForgetLearned()
	return struct{}{}, nil
}

// RouteQuery asks how a packet would go.
type RouteQuery struct {
	Dst  netip.Addr `json:"dst"`
	From netip.Addr `json:"from,omitzero"`
	Oif  string     `json:"oif,omitempty"`
	Iif  string     `json:"iif,omitempty"`
	TOS  uint8      `json:"tos,omitempty"`
	// Those that count with fib_multipath_hash_policy 1.
	Protocol uint8  `json:"ipproto,omitempty"`
	SrcPort  uint16 `json:"sport,omitempty"`
	DstPort  uint16 `json:"dport,omitempty"`
}

// routeGet answers with a Route whose Dst is the destination itself.
func (s *Server) routeGet(r *http.Request) (any, error) {
	var q RouteQuery
	if err := decode(r, &q); err != nil {
		return nil, err
	}
	oif, err := s.index(q.Oif)
	if err != nil {
		return nil, err
	}
	iif, err := s.index(q.Iif)
	if err != nil {
		return nil, err
	}
	ip := s.host.IPv4()
	fl := ipv4.Flow{TOS: q.TOS, Protocol: q.Protocol, SrcPort: q.SrcPort, DstPort: q.DstPort}
	var p ipv4.Path
	if iif != 0 {
		from := q.From
		if !from.IsValid() {
			from = netip.IPv4Unspecified()
		}
		p, err = ip.InputFlow(q.Dst, from, iif, fl)
	} else {
		p, err = ip.OutputFlow(q.Dst, q.From, oif, fl)
	}
	if err != nil {
		return nil, fail(err, "route to %s", q.Dst)
	}
	out := Route{Dst: netip.PrefixFrom(q.Dst, q.Dst.BitLen()), TOS: q.TOS, Gateway: p.Gateway, PrefSrc: p.Src, Dev: p.Interface.Name()}
	if p.Type != ipv4.Unicast {
		out.Type = p.Type.String()
		if iif != 0 {
			out.Dev = "lo" // where Linux delivers
		}
	}
	if iif != 0 {
		out.PrefSrc = netip.Addr{}
	}
	if p.MTU < p.Interface.MTU() {
		out.MTU = p.MTU
	}
	out.MTULock = p.MetricLocked(ipv4.MetricMTU)
	for m := ipv4.MetricWindow; m < ipv4.NumMetrics; m++ {
		if v := p.Metric(m); v != 0 {
			out.Metrics = append(out.Metrics, RouteMetric{Name: m.String(), Value: v, Lock: p.MetricLocked(m)})
		}
	}
	if l, ok := ip.Learned(q.Dst); ok && p.Type == ipv4.Unicast && iif == 0 {
		out.MTULock, out.Redirected = out.MTULock || l.Locked, l.Redirected
		out.Expires = int((l.Until.Sub(ip.Now()) + time.Second - 1) / time.Second)
	}
	return out, nil
}
