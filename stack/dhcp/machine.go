package dhcp

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"
)

// State is where a client is in RFC 2131, figure 5.
type State uint8

// The states. Checking comes between Requesting and Bound: the address is ours to
// use unless another host answers for it. Waiting is a pause before Init.
const (
	Init State = iota
	Waiting
	Selecting
	Requesting
	Rebooting
	Checking
	Bound
	Renewing
	Rebinding
	Stopped
)

var stateNames = [...]string{"INIT", "WAITING", "SELECTING", "REQUESTING", "REBOOTING", "CHECKING", "BOUND", "RENEWING", "REBINDING", "STOPPED"}

// String returns the RFC's name.
func (s State) String() string { return stateNames[s] }

const (
	firstRetry   = 4 * time.Second // RFC 2131, section 4.1, doubled each time...
	lastRetry    = 64 * time.Second
	retryJitter  = time.Second // ...plus or minus at most this
	maxRequests  = 4           // then the server has gone (section 3.1, point 5)
	renewRetry   = 60 * time.Second
	declinePause = 10 * time.Second // section 3.1, point 5
	maxNAKPause  = 64 * time.Second
)

var everybody = netip.AddrFrom4([4]byte{255, 255, 255, 255})

// machine is the client. Its methods tell what happened, and return what to do.
type machine struct {
	rand *rand.Rand

	state   State
	next    time.Time // when timer is to be called; zero: never
	xid     uint32
	begun   time.Time // when the address was first asked for
	asked   time.Time // when the newest request left
	tries   int       // messages sent in this state
	naks    int       // in a row
	offered Lease
	lease   Lease // valid from Checking on
}

// action is what is to be done, in the order of the fields.
type action struct {
	Withdraw  bool   // the address is not ours any more
	Send      *query // nil: nothing
	Configure *Lease // the address and all that comes with it, or a change of that; nil: nothing
	Note      string // for the log
	Quiet     bool   // the note is one of many
}

// start begins from nothing.
func (m *machine) start(now time.Time) action {
	m.begun, m.naks = now, 0
	return m.discover(now)
}

func (m *machine) discover(now time.Time) action {
	m.state, m.tries = Selecting, 0
	m.xid = m.rand.Uint32()
	return m.ask(now)
}

// enter starts to send the requests of a state.
func (m *machine) enter(s State, now time.Time) action {
	m.state, m.tries = s, 0
	return m.ask(now)
}

// ask sends the message of the state, and says when it is sent again.
func (m *machine) ask(now time.Time) action {
	q := &query{Type: request, XID: m.xid, Secs: uint16(min(now.Sub(m.begun)/time.Second, 1<<16-1)), To: everybody, Broadcast: true}
	switch m.state {
	case Selecting:
		q.Type = discover
		if m.lease.Addr.IsValid() {
			q.Requested = m.lease.Addr.Addr() // the one we had
		}
	case Requesting:
		q.Requested, q.Server = m.offered.Addr.Addr(), m.offered.Server
	case Rebooting:
		q.Requested = m.lease.Addr.Addr()
	case Renewing:
		q.Client, q.To, q.Broadcast = m.lease.Addr.Addr(), m.lease.Server, false
	case Rebinding:
		q.Client, q.Broadcast = m.lease.Addr.Addr(), false
	}
	m.asked = now
	m.next = now.Add(m.retry(now))
	m.tries++
	return action{Send: q}
}

// retry returns how long to wait for an answer.
func (m *machine) retry(now time.Time) time.Duration {
	switch m.state {
	case Renewing, Rebinding:
		// RFC 2131, section 4.4.5: half of what is left, but a minute at least.
		until := m.lease.Start.Add(m.lease.T2)
		if m.state == Rebinding {
			until = m.lease.End()
		}
		left := until.Sub(now)
		return min(max(left/2, renewRetry), left)
	}
	d := min(firstRetry<<min(m.tries, 8), lastRetry)
	return d + time.Duration(m.rand.Int64N(int64(2*retryJitter)+1)) - retryJitter
}

// timer tells that next has come.
func (m *machine) timer(now time.Time) action {
	if m.next.IsZero() || now.Before(m.next) {
		return action{}
	}
	m.next = time.Time{}
	switch m.state {
	case Waiting:
		return m.discover(now)
	case Selecting:
		a := m.ask(now)
		a.Note, a.Quiet = "no DHCP server answers, still trying", m.tries != 3
		return a
	case Requesting:
		if m.tries <= maxRequests {
			return m.ask(now)
		}
		a := m.discover(now)
		a.Note = fmt.Sprintf("DHCP server %s does not answer any more", m.offered.Server)
		return a
	case Rebooting:
		switch {
		case m.tries <= maxRequests:
			return m.ask(now)
		case m.expired(now):
			return m.lost(now, "lease has ended")
		}
		// RFC 2131, section 3.2, point 3: what is left of the lease may be used.
		return m.bound(now)
	case Bound:
		return m.enterNew(Renewing, now)
	case Renewing:
		if t2 := m.lease.Start.Add(m.lease.T2); now.Before(t2) {
			return m.ask(now)
		}
		return m.enterNew(Rebinding, now)
	case Rebinding:
		if m.expired(now) {
			return m.lost(now, "lease has ended")
		}
		return m.ask(now)
	case Checking:
		if m.expired(now) {
			return m.lost(now, "lease has ended")
		}
	}
	return action{}
}

// enterNew is enter with a transaction of its own.
func (m *machine) enterNew(s State, now time.Time) action {
	m.begun, m.xid = now, m.rand.Uint32()
	return m.enter(s, now)
}

func (m *machine) expired(now time.Time) bool {
	end := m.lease.End()
	return !end.IsZero() && !now.Before(end)
}

// lost starts over without the address.
func (m *machine) lost(now time.Time, why string) action {
	a := m.start(now)
	a.Withdraw, a.Note = true, why
	return a
}

// bound goes on with the lease as it is.
func (m *machine) bound(now time.Time) action {
	m.state, m.next = Bound, time.Time{}
	if m.lease.Duration != Forever {
		m.next = m.lease.Start.Add(m.lease.T1)
	}
	return action{}
}

// received tells of a message. One that the state has no use for is ignored.
func (m *machine) received(now time.Time, a answer) action {
	if a.XID != m.xid {
		return action{}
	}
	switch m.state {
	case Selecting:
		if a.Type != offer {
			return action{}
		}
		// The first offer is as good as any (section 4.4.1).
		m.offered = a.Lease
		return m.enter(Requesting, now)
	case Requesting:
		if a.Server != m.offered.Server {
			return action{}
		}
	case Rebooting, Renewing, Rebinding:
	default:
		return action{}
	}
	switch a.Type {
	case ack:
		return m.acknowledged(now, a.Lease)
	case nak:
		return m.refused(now, a)
	}
	return action{}
}

func (m *machine) acknowledged(now time.Time, l Lease) action {
	m.naks = 0
	old := m.lease
	l.Start = m.asked // the lease is shorter by the way of the answer (section 4.4.1)
	m.lease = l
	if m.state == Requesting || m.state == Rebooting || l.Addr != old.Addr {
		moved := m.state != Requesting && l.Addr != old.Addr
		m.state, m.next = Checking, l.End()
		return action{Withdraw: moved, Configure: &l, Note: "lease " + l.words()}
	}
	a := m.bound(now)
	a.Configure, a.Note, a.Quiet = &l, "lease renewed "+l.words(), true
	return a
}

func (l Lease) words() string {
	if l.Duration == Forever {
		return fmt.Sprintf("%s from %s for good", l.Addr, l.Server)
	}
	return fmt.Sprintf("%s from %s for %s", l.Addr, l.Server, l.Duration)
}

// refused starts over: at once, and more slowly if that happens again.
func (m *machine) refused(now time.Time, a answer) action {
	had := m.state != Requesting
	note := "DHCP server " + a.Server.String() + " refuses"
	if a.Text != "" {
		note += ": " + a.Text
	}
	m.naks++
	m.lease, m.begun = Lease{}, now
	out := action{}
	if m.naks == 1 {
		out = m.discover(now)
	} else {
		m.state, m.next = Waiting, now.Add(min(time.Second<<min(m.naks-2, 8), maxNAKPause))
	}
	out.Withdraw, out.Note = had, note
	return out
}

// usable tells that nobody else has the address.
func (m *machine) usable(now time.Time) action {
	if m.state != Checking {
		return action{}
	}
	return m.bound(now)
}

// conflict tells that another host has the address (RFC 2131, section 3.1, point
// 5; RFC 5227, section 2.1).
func (m *machine) conflict(now time.Time) action {
	switch m.state {
	case Checking, Bound, Renewing, Rebinding, Rebooting:
	default:
		return action{}
	}
	q := &query{Type: decline, XID: m.rand.Uint32(), Requested: m.lease.Addr.Addr(), Server: m.lease.Server, To: everybody}
	note := fmt.Sprintf("another host has %s, declined", m.lease.Addr.Addr())
	m.state, m.next, m.lease = Waiting, now.Add(declinePause), Lease{}
	m.begun = now.Add(declinePause)
	return action{Withdraw: true, Send: q, Note: note}
}

// linkBack tells that the interface has a link again, perhaps to another network
// (RFC 2131, section 3.7).
func (m *machine) linkBack(now time.Time) action {
	switch m.state {
	case Checking, Bound, Renewing, Rebinding:
		return m.enterNew(Rebooting, now)
	case Selecting, Requesting, Waiting:
		return m.start(now)
	}
	return action{}
}

// stop gives the address back.
func (m *machine) stop(now time.Time) action {
	var a action
	switch m.state {
	case Checking, Bound, Renewing, Rebinding, Rebooting:
		if !m.expired(now) {
			a.Send = &query{Type: release, XID: m.rand.Uint32(), Client: m.lease.Addr.Addr(), Server: m.lease.Server, To: m.lease.Server}
		}
		a.Withdraw = true
	}
	m.state, m.next = Stopped, time.Time{}
	return a
}
