package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/tapstack/tapstack/stack"
	"github.com/tapstack/tapstack/stack/dhcp"
)

// leases are the DHCP clients of a host.
type leases struct {
	host    *stack.Host
	log     *slog.Logger
	changed func()

	mu      sync.Mutex
	clients []*dhcp.Client
	closed  bool
}

func newLeases(h *stack.Host, log *slog.Logger) *leases { return &leases{host: h, log: log} }

// start begins to ask for an address for an interface. A client that an interface
// of this name had before ends.
func (l *leases) start(name string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errors.New("the host is ending")
	}
	l.stopLocked(name)
	c, err := dhcp.Start(l.host, dhcp.Config{Interface: name, Logger: l.log, Changed: l.changed})
	if err != nil {
		return err
	}
	l.clients = append(l.clients, c)
	return nil
}

// stop gives the address of an interface back, if it has one from a server.
func (l *leases) stop(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.stopLocked(name)
}

func (l *leases) stopLocked(name string) {
	var kept []*dhcp.Client // not in place: wait may be looking at the list
	for _, c := range l.clients {
		if c.Interface() == name {
			c.Close()
			continue
		}
		kept = append(kept, c)
	}
	l.clients = kept
}

// How long run waits with the ready line: for a server to say anything, and then
// for the address to be ours, which takes up to 7 s (RFC 5227, section 1.1).
const (
	offerWait = 5 * time.Second
	leaseWait = 20 * time.Second
)

// wait returns when every interface has its address, or when a server that
// answers cannot be waited for any longer.
func (l *leases) wait(ctx context.Context) {
	l.mu.Lock()
	clients := l.clients
	l.mu.Unlock()
	start := time.Now()
	for _, c := range clients {
		for {
			state, changed := c.Changes()
			limit := leaseWait
			if state == dhcp.Init || state == dhcp.Waiting || state == dhcp.Selecting {
				limit = offerWait
			}
			left := limit - time.Since(start)
			if state == dhcp.Bound || left <= 0 {
				if state != dhcp.Bound {
					l.log.Warn("no lease from a DHCP server so far, still trying", "name", c.Interface())
				}
				break
			}
			timer := time.NewTimer(left)
			select {
			case <-changed:
			case <-timer.C:
			case <-ctx.Done():
				timer.Stop()
				return
			}
			timer.Stop()
		}
	}
}

// close gives all addresses back.
func (l *leases) close() {
	l.mu.Lock()
	l.closed = true
	clients := l.clients
	l.clients = nil
	l.mu.Unlock()
	var all sync.WaitGroup
	for _, c := range clients {
		all.Go(c.Close)
	}
	all.Wait()
}
