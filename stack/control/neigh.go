package control

import (
	"cmp"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack"
)

// Neighbour is an entry of the neighbour table, or of its proxy set.
type Neighbour struct {
	Dst         netip.Addr `json:"dst"`
	Dev         string     `json:"dev,omitempty"` // empty for a proxy entry on any interface
	LLAddr      string     `json:"lladdr,omitempty"`
	Router      bool       `json:"router,omitempty"`
	Proxy       bool       `json:"proxy,omitempty"`
	Managed     bool       `json:"managed,omitempty"`
	ExternLearn bool       `json:"extern_learn,omitempty"`
	ExtValid    bool       `json:"extern_valid,omitempty"`
	State       string     `json:"state,omitempty"`
	Protocol    uint8      `json:"protocol,omitempty"` // rtm_protocol's numbers

	// Seconds since the last slow use, the last evidence, the last change.
	Used      int `json:"used"`
	Confirmed int `json:"confirmed"`
	Updated   int `json:"updated"`
	Probes    int `json:"probes"`
	RefCnt    int `json:"refcnt"`

	Queued int `json:"queued,omitempty"` // packets that wait for resolution
}

// NeighFilter selects entries; its zero value what `ip neigh show` shows: all but
// those in NONE and NOARP.
type NeighFilter struct {
	To    netip.Prefix `json:"to,omitzero"`
	Dev   string       `json:"dev,omitempty"`
	NUD   []string     `json:"nud,omitempty"` // states, or "all"
	Proxy bool         `json:"proxy,omitempty"`
	List  bool         `json:"list,omitempty"` // flush: tell what was deleted
}

// Query returns the filter as the query of GET /v1/neigh.
func (f NeighFilter) Query() url.Values {
	v := url.Values{}
	if f.To.IsValid() {
		v.Set("to", f.To.String())
	}
	if f.Dev != "" {
		v.Set("dev", f.Dev)
	}
	for _, s := range f.NUD {
		v.Add("nud", s)
	}
	if f.Proxy {
		v.Set("proxy", "1")
	}
	return v
}

func neighFilter(v url.Values) (f NeighFilter, err error) {
	f.Dev, f.NUD, f.Proxy = v.Get("dev"), v["nud"], v.Get("proxy") != ""
	if to := v.Get("to"); to != "" {
		if f.To, err = netip.ParsePrefix(to); err != nil {
			return f, invalid("control: to=%s: want a prefix such as 10.0.0.0/24", to)
		}
	}
	return f, nil
}

// NeighRequest is a command about one entry.
type NeighRequest struct {
	Dst         netip.Addr `json:"dst"`
	Dev         string     `json:"dev,omitempty"`
	LLAddr      *link.Addr `json:"lladdr,omitempty"`
	State       string     `json:"state,omitempty"` // default permanent
	Router      bool       `json:"router,omitempty"`
	Managed     bool       `json:"managed,omitempty"`
	ExternLearn bool       `json:"extern_learn,omitempty"`
	ExtValid    bool       `json:"extern_valid,omitempty"`
	Use         bool       `json:"use,omitempty"`
	Proxy       bool       `json:"proxy,omitempty"`
	Protocol    uint8      `json:"protocol,omitempty"`
}

func (n NeighRequest) subject() string {
	s := "neighbour " + n.Dst.String()
	if n.Proxy {
		s = "proxy " + s
	}
	if n.Dev != "" {
		s += " dev " + n.Dev
	}
	return s
}

// stateSet returns the set of states called names.
func stateSet(names []string) (set neighbour.StateSet, err error) {
	for _, name := range names {
		st, ok := neighbour.ParseState(name)
		switch {
		case name == "all":
			return neighbour.SetOf(neighbour.States()...), nil
		case !ok:
			return 0, invalid("control: %q is no nud state", name)
		}
		set |= neighbour.SetOf(st)
	}
	return set, nil
}

// index returns an interface's index, 0 for no name.
func (s *Server) index(dev string) (int, error) {
	if dev == "" {
		return 0, nil
	}
	i, err := s.dev(dev)
	if err != nil {
		return 0, err
	}
	return i.Index(), nil
}

func (s *Server) dev(name string) (*stack.Interface, error) {
	if i := s.host.Interface(name); i != nil {
		return i, nil
	}
	return nil, fail(neighbour.ErrNoInterface, "device %s", name)
}

// shownStates are those that `ip neigh show` shows when none are asked for: all
// but NONE and NOARP.
var shownStates = neighbour.SetOf(neighbour.States()...) &^ neighbour.SetOf(neighbour.None, neighbour.NoARP)

func (s *Server) neighShow(r *http.Request) (any, error) {
	f, err := neighFilter(r.URL.Query())
	if err != nil {
		return nil, err
	}
	dev, err := s.index(f.Dev)
	if err != nil {
		return nil, err
	}
	list := []Neighbour{}
	if f.Proxy {
		for _, p := range s.host.Neighbours().Proxies() {
			if (dev == 0 || p.Interface == dev) && (!f.To.IsValid() || f.To.Contains(p.IP)) {
				list = append(list, Neighbour{Dst: p.IP, Dev: s.name(p.Interface), Proxy: true, Protocol: p.Protocol})
			}
		}
	} else {
		set, err := stateSet(f.NUD)
		if err != nil {
			return nil, err
		}
		if set == 0 {
			set = shownStates
		}
		for e := range s.host.Neighbours().All() {
			// iproute2 shows what a control plane learned in any state.
			wanted := set.Has(e.State) || e.Flags&neighbour.ExtLearned != 0
			if wanted && (dev == 0 || e.Interface == dev) && (!f.To.IsValid() || f.To.Contains(e.IP)) {
				list = append(list, NeighbourOf(e))
			}
		}
	}
	slices.SortFunc(list, func(a, b Neighbour) int {
		return cmp.Or(strings.Compare(a.Dev, b.Dev), a.Dst.Compare(b.Dst))
	})
	return list, nil
}

// NeighbourOf returns an entry as it is shown.
func NeighbourOf(e neighbour.EntryInfo) Neighbour {
	n := Neighbour{
		Dst: e.IP, Dev: e.InterfaceName, State: e.State.String(), Protocol: e.Protocol,
		Router: e.Flags&neighbour.ISRouter != 0, Managed: e.Flags&neighbour.Managed != 0,
		ExternLearn: e.Flags&neighbour.ExtLearned != 0, ExtValid: e.Flags&neighbour.ExtValidated != 0,
		Used: seconds(e.Used), Confirmed: seconds(e.Confirmed), Updated: seconds(e.Updated),
		Probes: e.Probes, RefCnt: e.Refs, Queued: e.QueueLen,
	}
	// A lladdr is shown only while it is in force, though the entry remembers it.
	if e.State.Valid() {
		n.LLAddr = e.LLAddr.String()
	}
	return n
}

func seconds(d time.Duration) int { return int(d / time.Second) }

func (s *Server) neighGet(r *http.Request) (any, error) {
	q := r.URL.Query()
	n := NeighRequest{Dev: q.Get("dev"), Proxy: q.Get("proxy") != ""}
	var err error
	if n.Dst, err = netip.ParseAddr(q.Get("to")); err != nil {
		return nil, invalid("control: to=%s: want an IPv4 address", q.Get("to"))
	}
	dev, err := s.index(n.Dev)
	if err != nil {
		return nil, err
	}
	if n.Proxy {
		p, ok := s.host.Neighbours().LookupProxy(dev, n.Dst)
		if !ok {
			return nil, fail(neighbour.ErrNotFound, "%s", n.subject())
		}
		return Neighbour{Dst: p.IP, Dev: s.name(p.Interface), Proxy: true, Protocol: p.Protocol}, nil
	}
	e, ok := s.host.Neighbours().Lookup(dev, n.Dst)
	if !ok {
		return nil, fail(neighbour.ErrNotFound, "%s", n.subject())
	}
	return NeighbourOf(e), nil
}

// neighSet returns the endpoint of a command with these netlink flags.
func (s *Server) neighSet(create, exclusive, replace bool) endpoint {
	return func(r *http.Request) (any, error) {
		var n NeighRequest
		if err := decode(r, &n); err != nil {
			return nil, err
		}
		dev, err := s.index(n.Dev)
		if err != nil {
			return nil, err
		}
		if n.Proxy {
			p := neighbour.Proxy{IP: n.Dst, Interface: dev, Protocol: n.Protocol, Permanent: n.State == "" || n.State == "permanent"}
			if err := s.host.Neighbours().AddProxy(p); err != nil {
				return nil, fail(err, "%s", n.subject())
			}
			return struct{}{}, nil
		}
		req := neighbour.Request{State: neighbour.Permanent, Protocol: n.Protocol, Create: create, Exclusive: exclusive, Replace: replace}
		if n.State != "" {
			var ok bool
			if req.State, ok = neighbour.ParseState(n.State); !ok {
				return nil, invalid("control: %q is no nud state", n.State)
			}
		}
		if n.LLAddr != nil {
			req.LLAddr, req.HasLLAddr = *n.LLAddr, true
		}
		for _, f := range []struct {
			on   bool
			flag neighbour.Flags
		}{
			{n.Router, neighbour.ISRouter}, {n.Managed, neighbour.Managed}, {n.ExternLearn, neighbour.ExtLearned},
			{n.ExtValid, neighbour.ExtValidated}, {n.Use, neighbour.Use},
		} {
			if f.on {
				req.Flags |= f.flag
			}
		}
		if err := s.host.Neighbours().Set(dev, n.Dst, req); err != nil {
			if errors.Is(err, neighbour.ErrNoLLAddr) { // the kernel says that much, too
				return nil, &Error{Text: n.subject() + ": no link layer address given", Errno: syscall.EINVAL}
			}
			return nil, fail(err, "%s", n.subject())
		}
		return struct{}{}, nil
	}
}

func (s *Server) neighDelete(r *http.Request) (any, error) {
	var n NeighRequest
	if err := decode(r, &n); err != nil {
		return nil, err
	}
	dev, err := s.index(n.Dev)
	if err != nil {
		return nil, err
	}
	del := s.host.Neighbours().Delete
	if n.Proxy {
		del = s.host.Neighbours().DeleteProxy
	}
	if err := del(dev, n.Dst); err != nil {
		return nil, fail(err, "%s", n.subject())
	}
	return struct{}{}, nil
}

// Deleted says how many entries a flush removed.
type Deleted struct {
	Deleted int         `json:"deleted"`
	Entries []Neighbour `json:"entries,omitempty"` // as they were, if they were asked for
}

func (s *Server) neighFlush(r *http.Request) (any, error) {
	var f NeighFilter
	if err := decode(r, &f); err != nil {
		return nil, err
	}
	dev, err := s.index(f.Dev)
	if err != nil {
		return nil, err
	}
	set, err := stateSet(f.NUD)
	if err != nil {
		return nil, err
	}
	if !f.Proxy {
		return s.flush(f, neighbour.Filter{Interface: dev, Prefix: f.To, States: set}), nil
	}
	n := 0
	for _, p := range s.host.Neighbours().Proxies() {
		if (dev == 0 || p.Interface == dev) && (!f.To.IsValid() || f.To.Contains(p.IP)) &&
			s.host.Neighbours().DeleteProxy(p.Interface, p.IP) == nil {
			n++
		}
	}
	return Deleted{Deleted: n}, nil
}

// flush deletes the entries that match, and, as iproute2 does, in any state those
// that a control plane learned.
func (s *Server) flush(f NeighFilter, match neighbour.Filter) (d Deleted) {
	learned := match
	learned.States = neighbour.SetOf(neighbour.States()...)
	for e := range s.host.Neighbours().All() {
		if !match.Match(e) && !(e.Flags&neighbour.ExtLearned != 0 && learned.Match(e)) {
			continue
		}
		if s.host.Neighbours().Delete(e.Interface, e.IP) != nil {
			continue // somebody else was faster
		}
		d.Deleted++
		if f.List {
			d.Entries = append(d.Entries, NeighbourOf(e))
		}
	}
	return d
}

// Event is something that happened to a neighbour.
type Event struct {
	Seq       uint64    `json:"seq"`
	Time      time.Time `json:"time"`
	Kind      string    `json:"kind"`  // created, changed, removed, queued, flushed, ...
	Cause     string    `json:"cause"` // frame, timer, confirmation, packet, command, ...
	Detail    string    `json:"detail,omitempty"`
	Announced string    `json:"announced,omitempty"` // RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH
	From      string    `json:"from"`
	To        string    `json:"to"`
	Count     int       `json:"count,omitempty"` // packets, or the number of a probe
	// Missed is how many events were lost just before this one, because the
	// client read too slowly.
	Missed    uint64    `json:"missed,omitempty"`
	Neighbour Neighbour `json:"neighbour"`
}

func eventOf(ev neighbour.Event) Event {
	return Event{
		Seq: ev.Seq, Time: ev.Time, Kind: ev.Kind.String(), Cause: ev.Cause.String(), Detail: ev.Detail,
		Announced: ev.Announced.String(), From: ev.From.String(), To: ev.To.String(), Count: ev.Count,
		Missed: ev.Missed, Neighbour: NeighbourOf(ev.Entry),
	}
}

// monitorBuffer is how many events wait for a client that is busy.
const monitorBuffer = 4096

// neighMonitor streams the events that Linux announces, with all=1 every one.
func (s *Server) neighMonitor(w http.ResponseWriter, r *http.Request) {
	all, _ := strconv.ParseBool(r.URL.Query().Get("all"))
	sub := s.host.Neighbours().Subscribe(monitorBuffer)
	defer sub.Close()
	out := newLines(w)
	missed := uint64(0)
	for {
		select {
		case ev, ok := <-sub.C:
			if !ok {
				return
			}
			missed += ev.Missed
			if !all && ev.Announced == neighbour.Silent {
				continue
			}
			e := eventOf(ev)
			e.Missed, missed = missed, 0
			if out.send(e) != nil {
				return
			}
		case <-r.Context().Done():
			return
		case <-s.done:
			return
		}
	}
}
