package service

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"

	"github.com/tapstack/tapstack/link"
)

// Network is where services listen; *stack.Host is one.
type Network interface {
	Listen(network, address string) (net.Listener, error)
	ListenPacket(network, address string) (net.PacketConn, error)
}

// Names are those of all services.
func Names() []string { return []string{"http", "echo", "discard", "chargen"} }

// Parse reads what --service takes: lists of names with commas between, or none.
func Parse(lists []string) ([]string, error) {
	var names []string
	for _, list := range lists {
		for name := range strings.SplitSeq(list, ",") {
			switch name = strings.TrimSpace(name); {
			case name == "none" || slices.Contains(Names(), name):
				if !slices.Contains(names, name) {
					names = append(names, name)
				}
			default:
				return nil, fmt.Errorf("there is no service %q: want %s, or none", name, strings.Join(Names(), ", "))
			}
		}
	}
	if !slices.Contains(names, "none") {
		return names, nil
	}
	if len(names) > 1 {
		return nil, errors.New("service none stands alone")
	}
	return nil, nil
}

// Config says which services to run.
type Config struct {
	Network Network
	Names   []string
	Page    func() Page // what http's front page tells
	Logger  *slog.Logger
}

// Group is the running services.
type Group struct {
	log *slog.Logger
	wg  sync.WaitGroup

	pattern      *link.Chunk // chargen's, for all connections
	patternBytes []byte

	mu     sync.Mutex
	closed bool
	open   map[interface{ Close() error }]struct{}
}

// Start listens for every service, and serves. When one cannot listen none is
// left running.
func Start(c Config) (*Group, error) {
	g := &Group{log: c.Logger, open: map[interface{ Close() error }]struct{}{}}
	g.pattern, g.patternBytes = chargenBlock()
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	start := map[string]func() error{
		"http": func() error { return g.http(c) },
		"echo": func() error {
			return errors.Join(g.stream(c.Network, ":7", echoStream), g.packet(c.Network, ":7", echoPacket))
		},
		"discard": func() error {
			return errors.Join(g.stream(c.Network, ":9", discardStream), g.packet(c.Network, ":9", discardPacket))
		},
		"chargen": func() error { return g.stream(c.Network, ":19", g.chargen) },
	}
	for _, name := range c.Names {
		f := start[name]
		if f == nil {
			return nil, errors.Join(fmt.Errorf("there is no service %q", name), g.Close())
		}
		if err := f(); err != nil {
			g.Close()
			return nil, fmt.Errorf("service %s: %w", name, err)
		}
	}
	return g, nil
}

// Close ends the services and their connections, and waits for them.
func (g *Group) Close() error {
	g.mu.Lock()
	g.closed = true
	open := g.open
	g.open = nil
	g.mu.Unlock()
	var errs []error
	for c := range open {
		if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	g.wg.Wait()
	return errors.Join(errs...)
}

// add has c closed at the end; false means that the end has come.
func (g *Group) add(c interface{ Close() error }) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		c.Close()
		return false
	}
	g.open[c] = struct{}{}
	return true
}

func (g *Group) remove(c interface{ Close() error }) {
	g.mu.Lock()
	delete(g.open, c)
	g.mu.Unlock()
	c.Close()
}

// stream has f serve every connection to a TCP port, in a goroutine each.
func (g *Group) stream(n Network, address string, f func(net.Conn)) error {
	l, err := n.Listen("tcp", address)
	if err != nil {
		return err
	}
	g.add(l)
	g.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					g.log.Error("service ended", "address", address, "err", err)
				}
				return
			}
			if !g.add(c) {
				return
			}
			g.wg.Go(func() {
				defer g.remove(c)
				f(c)
			})
		}
	})
	return nil
}

// packet has f serve a UDP port.
func (g *Group) packet(n Network, address string, f func(net.PacketConn)) error {
	c, err := n.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	g.add(c)
	g.wg.Go(func() {
		defer g.remove(c)
		f(c)
	})
	return nil
}
