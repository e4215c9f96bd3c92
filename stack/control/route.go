package control

import (
	"cmp"
	"net/http"
	"net/netip"
	"slices"
	"syscall"

	"github.com/tapstack/tapstack/ipv4"
)

// Route is an entry of the routing table, or what it says about one destination.
type Route struct {
	Type     string       `json:"type,omitempty"` // unicast when empty
	Dst      netip.Prefix `json:"dst"`
	Gateway  netip.Addr   `json:"gateway,omitzero"`
	Dev      string       `json:"dev,omitempty"`
	Protocol uint8        `json:"protocol,omitempty"` // rtm_protocol's numbers
	Scope    string       `json:"scope,omitempty"`
	PrefSrc  netip.Addr   `json:"prefsrc,omitzero"`
	Metric   uint32       `json:"metric,omitempty"`
	MTU      int          `json:"mtu,omitempty"`
	OnLink   bool         `json:"onlink,omitempty"`
	Flags    []string     `json:"flags,omitempty"` // dead, linkdown
	Table    string       `json:"table,omitempty"` // main or local
}

// types that stand in table main for destinations which are not sent anywhere.
var routeTypes = []ipv4.RouteType{
	ipv4.Unicast, ipv4.Local, ipv4.Broadcast, ipv4.Multicast, ipv4.Blackhole, ipv4.Unreachable, ipv4.Prohibit,
}

func (s *Server) routeShow(r *http.Request) (any, error) {
	table := cmp.Or(r.URL.Query().Get("table"), "main")
	list := []Route{}
	for _, x := range s.host.IPv4().Routes() {
		rt := s.routeOf(x)
		if table == "all" || table == rt.Table {
			list = append(list, rt)
		}
	}
	// The order in which Linux dumps a table: by destination, longer prefixes
	// first, then by metric.
	slices.SortStableFunc(list, func(a, b Route) int {
		return cmp.Or(cmp.Compare(b.Table, a.Table), a.Dst.Addr().Compare(b.Dst.Addr()),
			cmp.Compare(b.Dst.Bits(), a.Dst.Bits()), cmp.Compare(a.Metric, b.Metric))
	})
	return list, nil
}

func (s *Server) routeOf(x ipv4.Route) Route {
	r := Route{
		Dst: x.Dst, Gateway: x.Gateway, Dev: s.name(x.Interface), Protocol: x.Protocol, Scope: scopeName(x.Scope),
		PrefSrc: x.Src, Metric: x.Metric, MTU: x.MTU, OnLink: x.OnLink, Table: "main",
	}
	if x.Type != ipv4.Unicast {
		r.Type = x.Type.String()
	}
	if x.Type == ipv4.Local || x.Type == ipv4.Broadcast {
		r.Table = "local"
	}
	if i := s.host.Interface(r.Dev); i != nil && i.Up() && !i.Carrier() {
		r.Flags = []string{"linkdown"}
	}
	return r
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

func (s *Server) routeRequest(r *http.Request) (rt Route, x ipv4.Route, err error) {
	if err = decode(r, &rt); err != nil {
		return rt, x, err
	}
	x = ipv4.Route{Dst: rt.Dst, Gateway: rt.Gateway, Src: rt.PrefSrc, Metric: rt.Metric, Protocol: rt.Protocol, MTU: rt.MTU, OnLink: rt.OnLink}
	if x.Interface, err = s.index(rt.Dev); err != nil {
		return rt, x, err
	}
	if x.Scope, err = parseScope(rt.Scope); err != nil {
		return rt, x, err
	}
	if rt.Type == "" {
		return rt, x, nil
	}
	i := slices.IndexFunc(routeTypes, func(t ipv4.RouteType) bool { return t.String() == rt.Type })
	if i < 0 {
		return rt, x, invalid("control: %q is no type of route", rt.Type)
	}
	x.Type = routeTypes[i]
	return rt, x, nil
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

func (s *Server) routeAdd(r *http.Request) (any, error) {
	rt, x, err := s.routeRequest(r)
	if err != nil {
		return nil, err
	}
	if x.Protocol == 0 {
		x.Protocol = ipv4.OriginBoot
	}
	if err := s.host.IPv4().AddRoute(x); err != nil {
		return nil, fail(err, "route %s", destination(rt.Dst))
	}
	return struct{}{}, nil
}

// routeReplace puts a route in the place of the one with its destination and
// metric, if there is one.
func (s *Server) routeReplace(r *http.Request) (any, error) {
	rt, x, err := s.routeRequest(r)
	if err != nil {
		return nil, err
	}
	if x.Protocol == 0 {
		x.Protocol = ipv4.OriginBoot
	}
	var old *ipv4.Route
	for _, o := range s.host.IPv4().Routes() {
		if o.Dst == x.Dst.Masked() && o.Metric == x.Metric && o.Type != ipv4.Local && o.Type != ipv4.Broadcast {
			old = &o
			break
		}
	}
	if old != nil {
		if err := s.host.IPv4().DeleteRoute(*old); err != nil {
			return nil, fail(err, "route %s", destination(rt.Dst))
		}
	}
	if err := s.host.IPv4().AddRoute(x); err != nil {
		if old != nil {
			s.host.IPv4().AddRoute(*old)
		}
		return nil, fail(err, "route %s", destination(rt.Dst))
	}
	return struct{}{}, nil
}

func (s *Server) routeDelete(r *http.Request) (any, error) {
	rt, x, err := s.routeRequest(r)
	if err != nil {
		return nil, err
	}
	if err := s.host.IPv4().DeleteRoute(x); err != nil {
		return nil, fail(err, "route %s", destination(rt.Dst))
	}
	return struct{}{}, nil
}

// RouteQuery asks how a packet would go.
type RouteQuery struct {
	Dst  netip.Addr `json:"dst"`
	From netip.Addr `json:"from,omitzero"`
	Oif  string     `json:"oif,omitempty"`
	Iif  string     `json:"iif,omitempty"`
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
	var p ipv4.Path
	if iif != 0 {
		from := q.From
		if !from.IsValid() {
			from = netip.IPv4Unspecified()
		}
		var ok bool
		if p, _, ok = s.host.IPv4().InputPath(q.Dst, from, iif); !ok {
			return nil, fail(syscall.EHOSTUNREACH, "route to %s", q.Dst)
		}
	} else if p, err = s.host.IPv4().OutputPath(q.Dst, q.From, oif); err != nil {
		return nil, fail(err, "route to %s", q.Dst)
	}
	out := Route{Dst: netip.PrefixFrom(q.Dst, q.Dst.BitLen()), Gateway: p.Gateway, PrefSrc: p.Src}
	if p.Type != ipv4.Unicast {
		out.Type = p.Type.String()
	}
	if p.Interface != nil {
		out.Dev = p.Interface.Name()
		if p.MTU < p.Interface.MTU() {
			out.MTU = p.MTU
		}
	}
	return out, nil
}
