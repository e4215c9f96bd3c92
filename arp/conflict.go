package arp

import (
	"math/rand/v2"
	"time"

	"github.com/tapstack/tapstack/link"
)

// The constants of RFC 5227, section 1.1.
const (
	ProbeWait         = time.Second      // random wait before the first probe, at most
	ProbeNum          = 3                // probes
	ProbeMin          = time.Second      // between two probes, at least
	ProbeMax          = 2 * time.Second  // and at most
	AnnounceWait      = 2 * time.Second  // from the last probe to the first announcement
	AnnounceNum       = 2                // announcements
	AnnounceInterval  = 2 * time.Second  // between them
	MaxConflicts      = 10               // conflicts on an interface before attempts are limited
	RateLimitInterval = 60 * time.Second // between attempts then
	DefendInterval    = 10 * time.Second // between defences
)

// Defence says what happens when another host uses an address that has been
// claimed already (RFC 5227, section 2.4).
type Defence uint8

// The defences, by the letters that the RFC gives them.
const (
	// DefendOnce (b) announces the address once more, and gives it up when the
	// next conflict comes within DefendInterval.
	DefendOnce Defence = iota
	// DefendNever (a) gives the address up at once.
	DefendNever
	// DefendAlways (c) keeps the address, with no more than one announcement in
	// DefendInterval: for routers and servers that others have configured.
	DefendAlways
)

// String returns the defence in one word.
func (d Defence) String() string {
	return [...]string{DefendOnce: "once", DefendNever: "never", DefendAlways: "always"}[min(d, DefendAlways)]
}

// ClaimState is how far a claim to an address is.
type ClaimState uint8

// The states. The address may be used in Announcing and Held only.
const (
	ClaimSuspended  ClaimState = iota // there is no link to ask on
	ClaimWaiting                      // will probe, as soon as the interface's rate limit lets it
	ClaimProbing                      // asks whether anybody uses the address
	ClaimAnnouncing                   // nobody does; tells everybody
	ClaimHeld                         // the address is ours
	ClaimRefused                      // another host has it
	ClaimReleased                     // the claim has ended
)

// String returns the state in lower case.
func (s ClaimState) String() string {
	return [...]string{"suspended", "waiting", "probing", "announcing", "held", "refused", "released"}[min(s, ClaimReleased)]
}

// Usable reports whether the address may be used.
func (s ClaimState) Usable() bool { return s == ClaimAnnouncing || s == ClaimHeld }

// ClaimEventKind says what a ClaimEvent tells.
type ClaimEventKind uint8

// The kinds.
const (
	Probing   ClaimEventKind = iota // probing begins; if the address was in use, it may not be any more
	Usable                          // nobody else has the address
	Conflict                        // a probe found that another host has it
	Defended                        // another host used it, and was told that it is ours
	Lost                            // it was ours, and has been given up to another host
	Suspended                       // the link is gone
)

// String returns the kind in lower case.
func (k ClaimEventKind) String() string {
	return [...]string{"probing", "usable", "conflict", "defended", "lost", "suspended"}[min(k, Suspended)]
}

// attempts limits how often new addresses are tried on one interface (RFC 5227,
// section 2.1.1).
type attempts struct {
	conflicts int
	last      time.Time // when probing last began
}

// next returns now when an attempt may begin, and notes it; otherwise when to
// ask again.
func (a *attempts) next(now time.Time) time.Time {
	if free := a.last.Add(RateLimitInterval); a.conflicts >= MaxConflicts && free.After(now) {
		return free
	}
	a.last = now
	return now
}

// conflict is the machine of one claim: RFC 5227 without a clock or a network.
// Each method takes the time and returns what is to be done, in order; deadline
// says when expire wants to be called.
type conflict struct {
	defence Defence
	retry   time.Duration // from a refusal to the next attempt; 0: there is none
	limit   *attempts
	rand    *rand.Rand

	state    ClaimState
	deadline time.Time // zero: none
	sent     int       // probes or announcements
	held     bool      // the address was usable before, so that probing again is no new attempt
	defended time.Time // when the conflict came that was last answered
}

// effect is one thing to be done: a frame to send, or an event to tell.
type effect struct {
	frame claimFrame
	event ClaimEventKind // when frame is noFrame
	by    link.Addr      // the other host
}

type claimFrame uint8

const (
	noFrame claimFrame = iota
	probeFrame
	announceFrame
)

// begin starts over, as when the link comes up (RFC 5227, section 2.1). Nothing
// happens before the deadline, which is now.
func (m *conflict) begin(now time.Time) {
	m.state, m.deadline, m.sent, m.defended = ClaimWaiting, now, 0, time.Time{}
}

// suspend stops everything until begin; the deadline is now, to tell the owner.
func (m *conflict) suspend(now time.Time) {
	if m.state != ClaimSuspended {
		m.state, m.deadline = ClaimSuspended, now
	}
}

// expire is called at the deadline.
func (m *conflict) expire(now time.Time) []effect {
	switch m.state {
	case ClaimSuspended:
		m.deadline = time.Time{}
		return []effect{{event: Suspended}}
	case ClaimWaiting, ClaimRefused:
		if at := now; !m.held {
			if at = m.limit.next(now); at.After(now) {
				m.state, m.deadline = ClaimWaiting, at
				return nil
			}
		}
		m.begin(now)
		m.state, m.deadline = ClaimProbing, now.Add(m.between(0, ProbeWait))
		return []effect{{event: Probing}}
	case ClaimProbing:
		if m.sent == ProbeNum {
			m.state, m.sent, m.held, m.deadline = ClaimAnnouncing, 1, true, now.Add(AnnounceInterval)
			return []effect{{event: Usable}, {frame: announceFrame}}
		}
		m.sent++
		wait := AnnounceWait
		if m.sent < ProbeNum {
			wait = m.between(ProbeMin, ProbeMax)
		}
		m.deadline = now.Add(wait)
		return []effect{{frame: probeFrame}}
	case ClaimAnnouncing:
		m.sent++
		m.deadline = now.Add(AnnounceInterval)
		if m.sent == AnnounceNum {
			m.state, m.deadline = ClaimHeld, time.Time{}
		}
		return []effect{{frame: announceFrame}}
	}
	m.deadline = time.Time{}
	return nil
}

// between returns a uniformly distributed duration from lo to hi.
func (m *conflict) between(lo, hi time.Duration) time.Duration {
	return lo + time.Duration(m.rand.Int64N(int64(hi-lo)+1))
}

// contested reports whether a packet, whose sender is the claimed address, or
// whose target is if it has no sender, speaks against the claim. ours says that
// its hardware address is one of the host's.
func (m *conflict) contested(a Packet, ours bool) bool {
	probe := a.SenderIP.IsUnspecified()
	switch {
	case m.state == ClaimProbing && probe:
		// Section 2.1.1: who else asks for the address wants it at the same
		// time, unless it is ourselves, heard back.
		return a.Op == Request && !ours
	case m.state == ClaimProbing:
		return true // whoever sends from the address has it
	case m.state.Usable():
		// Section 2.4. A probe is only a question.
		return !probe && !ours
	}
	return false
}

// contest takes a packet, of the host with the hardware address by, that
// contests the claim.
func (m *conflict) contest(now time.Time, by link.Addr) []effect {
	if m.state == ClaimProbing {
		return m.refuse(now, Conflict, by)
	}
	recent := !m.defended.IsZero() && now.Sub(m.defended) <= DefendInterval
	switch {
	case m.defence == DefendAlways && recent:
		return nil // so that two such hosts do not fill the link
	case m.defence == DefendNever || recent:
		return m.refuse(now, Lost, by)
	}
	m.defended = now
	return []effect{{frame: announceFrame}, {event: Defended, by: by}}
}

// refuse gives the address up to another host.
func (m *conflict) refuse(now time.Time, k ClaimEventKind, by link.Addr) []effect {
	m.state, m.deadline, m.held = ClaimRefused, time.Time{}, false
	m.limit.conflicts++
	if m.retry > 0 {
		m.deadline = now.Add(m.retry)
	}
	return []effect{{event: k, by: by}}
}
