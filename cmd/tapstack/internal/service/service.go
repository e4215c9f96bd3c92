package service

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

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
			return errors.Join(g.stream(c.Network, ":7", g.answering(echoStream)), g.packet(c.Network, ":7", echoPacket))
		},
		"discard": func() error {
			return errors.Join(g.stream(c.Network, ":9", g.answering(discardStream)), g.packet(c.Network, ":9", discardPacket))
		},
		"chargen": func() error {
			return g.stream(c.Network, ":19", func(c net.Conn) {
				go func() {
					defer g.done(c)
					g.chargen(c)
				}()
			})
		},
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

// done ends a connection that stream has accepted.
func (g *Group) done(c net.Conn) {
	g.remove(c)
	g.wg.Done()
}

// stream has serve begin with every connection to a TCP port. It must not wait;
// done follows.
func (g *Group) stream(n Network, address string, serve func(net.Conn)) error {
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
			g.wg.Add(1)
			serve(c)
		}
	})
	return nil
}

// idleAfter is for how long a connection must say nothing to lose its goroutine.
const idleAfter = 10 * time.Millisecond

// waiter is a connection that can be idle without a goroutine; *tcp.Conn is one.
type waiter interface{ AfterReadable(f func()) }

// answering returns for stream what has f, which returns how much it did, serve
// connections on which the other side speaks first. While that says nothing there
// is no goroutine: its stack, once it has sent something, is 8 KiB, many times
// everything else.
func (g *Group) answering(f func(net.Conn) (int64, error)) func(net.Conn) {
	var await func(net.Conn)
	serve := func(c net.Conn) {
		_, waits := c.(waiter)
		for {
			if waits {
				c.SetReadDeadline(time.Now().Add(idleAfter))
			}
			n, err := f(c)
			if !waits || !errors.Is(err, os.ErrDeadlineExceeded) {
				g.done(c)
				return
			}
			if n == 0 {
				c.SetReadDeadline(time.Time{})
				await(c)
				return
			}
		}
	}
	await = func(c net.Conn) {
		if w, ok := c.(waiter); ok {
			w.AfterReadable(func() { serve(c) })
		} else {
			go serve(c)
		}
	}
	return await
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
