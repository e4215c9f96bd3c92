package igmp

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/tapstack/tapstack/ipv4"
)

const (
	// soon is how long a first report waits, so that it tells of all changes that
	// a program makes in one go (Linux's two ticks).
	soon = 8 * time.Millisecond
	// Values of RFC 3376, sections 8.2 and 8.3, as long as no router says others.
	queryInterval    = 125 * time.Second
	responseInterval = 10 * time.Second
)

// settings are what an administrator says of an interface.
type settings struct {
	v1, v2                 bool          // force_igmp_version
	v2Interval, v3Interval time.Duration // between unsolicited reports, at most
	robustness             int           // igmp_qrv
	linkLocal              bool          // igmp_link_local_mcast_reports
}

// host is IGMP on an interface that is up. It is pure: time, chance and settings
// come with each call, and what is to be sent comes from expire.
type host struct {
	groups map[netip.Addr]*membership

	// What queries of version 3 said, 0 for nothing yet (RFC 3376, sections 4.1.6
	// and 4.1.7), and until when there is an older querier (section 8.12).
	robustness       int
	interval         time.Duration
	v1Until, v2Until time.Time

	general time.Time // a general query is answered, zero: there is none
	change  time.Time // changes are reported, zero: there are none
	changes int       // how many times they still are
	leaves  []netip.Addr
}

// membership is what is known of a group (Linux's struct ip_mc_list). One whose
// filter is empty is no more, and stays until that has been said.
type membership struct {
	filter ipv4.SourceFilter
	// How many times a change is still reported: of the filter's mode, and of each
	// source that came or went since.
	mode    int
	sources map[netip.Addr]int

	report      time.Time // an answer to a query, or in versions 1 and 2 an unsolicited report; zero: there is none
	unsolicited int       // how many of those are left
	reporter    bool      // the last report was ours
	asked       []netip.Addr
	specific    bool // the answer is about the sources in asked only
}

// version returns which one is spoken (RFC 3376, section 7.2.1).
func (h *host) version(now time.Time, s *settings) int {
	switch {
	case s.v1 || now.Before(h.v1Until):
		return 1
	case s.v2 || now.Before(h.v2Until):
		return 2
	}
	return 3
}

func (h *host) robust(s *settings) int {
	if h.robustness != 0 {
		return h.robustness
	}
	return s.robustness
}

// reportable reports whether anything is said about a group: RFC 3376 section 6
// and RFC 4541 section 2.1.2.
func reportable(group netip.Addr, s *settings) bool {
	return group != ipv4.AllHosts && (s.linkLocal || !group.IsLinkLocalMulticast())
}

// delay returns a random time of less than most.
func delay(most time.Duration, r *rand.Rand) time.Duration {
	return time.Duration(r.Int64N(int64(max(most, 1))))
}

// down forgets everything but older queriers.
func (h *host) down() { *h = host{v1Until: h.v1Until, v2Until: h.v2Until} }

// update is told all groups that are wanted now.
func (h *host) update(groups []ipv4.Group, now time.Time, s *settings) {
	if h.groups == nil {
		h.groups = make(map[netip.Addr]*membership)
	}
	wanted := make(map[netip.Addr]bool, len(groups))
	for _, g := range groups {
		wanted[g.Addr] = true
		h.updateGroup(g.Addr, g.Filter, now, s)
	}
	for a := range h.groups {
		if !wanted[a] {
			h.updateGroup(a, ipv4.SourceFilter{Only: true}, now, s)
		}
	}
}

func (h *host) updateGroup(group netip.Addr, f ipv4.SourceFilter, now time.Time, s *settings) {
	if !reportable(group, s) {
		return
	}
	m := h.groups[group]
	if m == nil {
		if f.Empty() {
			return
		}
		m = &membership{filter: ipv4.SourceFilter{Only: true}}
		h.groups[group] = m
	}
	old := m.filter
	m.filter = f
	if h.version(now, s) < 3 {
		h.updateOld(group, m, old, now, s)
		return
	}
	changed := old.Only != f.Only
	if changed {
		m.mode, m.sources = h.robust(s), nil
	} else {
		for _, list := range [][]netip.Addr{old.Sources, f.Sources} {
			for _, a := range list {
				if slices.Contains(old.Sources, a) == slices.Contains(f.Sources, a) {
					continue
				}
				if m.sources == nil {
					m.sources = make(map[netip.Addr]int)
				}
				m.sources[a] = h.robust(s)
				changed = true
			}
		}
	}
	if f.Empty() {
		m.stop()
	}
	if changed {
		// RFC 3376 section 5.1.
		h.changes, h.change = h.robust(s), now.Add(soon)
	}
}

// updateOld is the rest of updateGroup in versions 1 and 2, which know members
// and no sources.
func (h *host) updateOld(group netip.Addr, m *membership, old ipv4.SourceFilter, now time.Time, s *settings) {
	switch {
	case m.filter.Empty():
		// RFC 2236 section 3: who was not the last to report need not say that
		// it leaves.
		if m.reporter && h.version(now, s) == 2 {
			h.leaves = append(h.leaves, group)
		}
		delete(h.groups, group)
	case old.Empty():
		m.unsolicited, m.report = s.robustness, now.Add(soon)
	}
}

// stop ends what there was to be reported without a change.
func (m *membership) stop() {
	m.report, m.unsolicited, m.reporter, m.asked, m.specific = time.Time{}, 0, false, nil, false
}

// heard is told of another member's report in version 1 or 2, which ours would
// repeat (RFC 2236, section 3).
func (h *host) heard(group netip.Addr) {
	if m := h.groups[group]; m != nil {
		m.stop()
	}
}

// query is told a router's question.
func (h *host) query(q Query, now time.Time, s *settings, r *rand.Rand) {
	if q.Version < 3 {
		h.older(q, now, s)
	}
	version := h.version(now, s)
	if q.Version == 3 {
		switch version {
		case 1:
			q.Group, q.MaxResponse = netip.IPv4Unspecified(), oldMaxResponse
		case 3:
			h.robustness, h.interval = q.Robustness, q.Interval
			if q.Group.IsUnspecified() {
				if q.Sources() > 0 {
					return
				}
				at := now.Add(delay(q.MaxResponse, r))
				if h.general.IsZero() || at.Before(h.general) {
					h.general = at
				}
				return
			}
		}
	}
	specific := q.Version == 3 && version == 3 && q.Sources() > 0
	for _, a := range h.sorted() {
		m := h.groups[a]
		if m.filter.Empty() || !q.Group.IsUnspecified() && a != q.Group {
			continue
		}
		if m.ask(q, specific) {
			m.answer(now, q.MaxResponse, r)
		}
	}
}

// sorted returns the groups in order: chance is the same for the same seed.
func (h *host) sorted() []netip.Addr {
	list := make([]netip.Addr, 0, len(h.groups))
	for a := range h.groups {
		list = append(list, a)
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list
}

// older notes a querier of an older version: from now on its language is spoken,
// and what waited to be said in ours is void (RFC 3376, section 7.2.1).
func (h *host) older(q Query, now time.Time, s *settings) {
	interval, response := h.interval, responseInterval
	if interval == 0 {
		interval = queryInterval
	}
	if response >= interval {
		response = interval - time.Second // RFC 3376 section 8.3
	}
	until := now.Add(time.Duration(h.robust(s))*interval + response) // section 8.12
	if q.Version == 1 {
		h.v1Until = until
	} else {
		h.v2Until = until
	}
	h.general, h.change, h.changes = time.Time{}, time.Time{}, 0
	for a, m := range h.groups {
		m.mode, m.sources, m.asked, m.specific = 0, nil, nil, false
		if m.filter.Empty() {
			delete(h.groups, a)
		}
	}
}

// ask notes which sources are asked about, and reports whether there is anything
// to answer (RFC 3376, section 5.2).
func (m *membership) ask(q Query, specific bool) bool {
	if m.report.IsZero() {
		m.asked, m.specific = nil, specific
	} else {
		m.specific = m.specific && specific
	}
	if !m.specific {
		return true
	}
	if !m.filter.Only {
		// Linux tells all that is wanted, unless none of what is asked about is;
		// the RFC would have it tell those sources that are.
		m.specific = false
		for i := range q.Sources() {
			if !slices.Contains(m.filter.Sources, q.Source(i)) {
				return true
			}
		}
		return false
	}
	wanted := false
	for i := range q.Sources() {
		if a := q.Source(i); slices.Contains(m.filter.Sources, a) {
			wanted = true
			if !slices.Contains(m.asked, a) {
				m.asked = append(m.asked, a)
			}
		}
	}
	return wanted
}

// answer has the group reported at a random time, but not later than it would
// be anyway.
func (m *membership) answer(now time.Time, most time.Duration, r *rand.Rand) {
	m.unsolicited = 0
	if !m.report.IsZero() && m.report.Sub(now) < most {
		return
	}
	m.report = now.Add(delay(most, r))
}

// next returns when expire is to be called, zero for never.
func (h *host) next() time.Time {
	if len(h.leaves) > 0 {
		return time.Unix(0, 0)
	}
	var first time.Time
	earlier := func(t time.Time) {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	earlier(h.general)
	earlier(h.change)
	for _, m := range h.groups {
		earlier(m.report)
	}
	return first
}

// message is one to be sent: about group, or with records in version 3.
type message struct {
	kind    uint8
	group   netip.Addr
	records []Record
}

// expire returns what is to be sent by now.
func (h *host) expire(now time.Time, s *settings, r *rand.Rand) (out []message) {
	due := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	for _, a := range h.leaves {
		out = append(out, message{kind: TypeLeave, group: a})
	}
	h.leaves = nil
	report := func(records []Record) {
		if len(records) > 0 {
			out = append(out, message{kind: TypeReportV3, records: records})
		}
	}
	if due(h.change) {
		report(h.changeRecords())
		h.changes--
		if h.change = (time.Time{}); h.changes > 0 {
			h.change = now.Add(delay(s.v3Interval, r))
		}
	}
	groups := h.sorted()
	if due(h.general) {
		h.general = time.Time{}
		var records []Record
		for _, a := range groups {
			records = h.groups[a].state(records, a)
		}
		report(records)
	}
	version := h.version(now, s)
	for _, a := range groups {
		m := h.groups[a]
		if !due(m.report) {
			continue
		}
		m.report = time.Time{}
		switch version {
		case 3:
			report(m.state(nil, a))
			m.asked, m.specific = nil, false
			continue
		case 2:
			out = append(out, message{kind: TypeReportV2, group: a})
		case 1:
			out = append(out, message{kind: TypeReportV1, group: a})
		}
		m.reporter = true
		if m.unsolicited--; m.unsolicited > 0 {
			m.report = now.Add(delay(s.v2Interval, r))
		}
	}
	return out
}

// state appends the current state of a group to records.
func (m *membership) state(records []Record, group netip.Addr) []Record {
	r := Record{Type: ModeIsExclude, Group: group, Sources: m.filter.Sources}
	if m.filter.Only {
		r.Type = ModeIsInclude
		if m.specific {
			r.Sources = slices.DeleteFunc(slices.Clone(m.asked), func(a netip.Addr) bool { return !slices.Contains(m.filter.Sources, a) })
		}
		if len(r.Sources) == 0 {
			return records
		}
	}
	return append(records, r)
}

// changeRecords returns what has changed, and counts that it was said. What is
// gone and has been said often enough is forgotten.
func (h *host) changeRecords() (records []Record) {
	for _, a := range h.sorted() {
		m := h.groups[a]
		came, went := Record{Type: AllowNewSources, Group: a}, Record{Type: BlockOldSources, Group: a}
		for s := range m.sources {
			if slices.Contains(m.filter.Sources, s) == m.filter.Only {
				came.Sources = append(came.Sources, s)
			} else {
				went.Sources = append(went.Sources, s)
			}
			if m.sources[s]--; m.sources[s] == 0 {
				delete(m.sources, s)
			}
		}
		for _, r := range []Record{came, went} {
			if len(r.Sources) > 0 {
				slices.SortFunc(r.Sources, netip.Addr.Compare)
				records = append(records, r)
			}
		}
		if m.mode > 0 {
			m.mode--
			r := Record{Type: ChangeToExclude, Group: a, Sources: m.filter.Sources}
			if m.filter.Only {
				r.Type = ChangeToInclude
			}
			records = append(records, r)
		}
		if m.filter.Empty() && m.mode == 0 && len(m.sources) == 0 {
			delete(h.groups, a)
		}
	}
	return records
}
