package ipv4

import "time"

// watchLifetimesLocked arms the timer for the next address that is deprecated or
// goes (Linux's check_lifetime).
func (pr *Protocol) watchLifetimesLocked() {
	if pr.lifetimes != nil {
		pr.lifetimes.Stop()
		pr.lifetimes = nil
	}
	var next time.Time
	for _, i := range pr.interfaces.Load().list {
		for _, a := range i.Addresses() {
			for _, t := range []time.Time{a.ValidUntil, a.PreferredUntil} {
				if !t.IsZero() && !(a.Deprecated && t.Equal(a.PreferredUntil) && !t.Equal(a.ValidUntil)) && (next.IsZero() || t.Before(next)) {
					next = t
				}
			}
		}
	}
	if !next.IsZero() && !pr.closed {
		pr.lifetimes = pr.config.Clock.AfterFunc(next.Sub(pr.config.Clock.Now()), pr.endLifetimes)
	}
}

// endLifetimes deprecates and deletes the addresses whose time has come.
func (pr *Protocol) endLifetimes() {
	pr.mu.Lock()
	defer pr.mu.Unlock()
	if pr.closed {
		return
	}
	now := pr.config.Clock.Now()
	past := func(t time.Time) bool { return !t.IsZero() && !now.Before(t) }
	for _, i := range pr.interfaces.Load().list {
		for n := 0; n < len(i.Addresses()); {
			a := i.Addresses()[n]
			switch {
			case past(a.ValidUntil):
				pr.deleteAddressLocked(i, n)
				n = 0 // others may have gone with it
				continue
			case past(a.PreferredUntil) && !a.Deprecated:
				a.Deprecated = true
				pr.updateAddressLocked(i, n, a)
			}
			n++
		}
	}
	pr.watchLifetimesLocked()
}

// Now returns the time that lifetimes are measured by.
func (pr *Protocol) Now() time.Time { return pr.config.Clock.Now() }
