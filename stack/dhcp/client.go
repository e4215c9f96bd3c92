package dhcp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/ipv4/udp"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack"
	"github.com/tapstack/tapstack/stack/clock"
	"github.com/tapstack/tapstack/stack/random"
)

// Ports of DHCP (RFC 2131, section 4.1).
const (
	clientPort = 68
	serverPort = 67
)

// Config describes a client.
type Config struct {
	// Interface is the name of the host's interface that is to get an address.
	Interface string
	// Hostname is what the server is told; empty: nothing.
	Hostname string
	// Clock and Rand are those of the host.
	Clock clock.Clock
	Rand  *rand.Rand // safe for concurrent use; nil: random.Secure
	// Logger hears of leases, and of servers that do not answer. Default: nobody.
	Logger *slog.Logger
	// Changed is called after the interface has got or lost the address, or more
	// time for it. It must not call Close. May be nil.
	Changed func()
}

// Client keeps an interface supplied with an address. Its methods may be called
// concurrently.
type Client struct {
	config Config
	host   *stack.Host
	iface  *stack.Interface
	conn   *udp.Conn

	received chan []byte
	wake     chan struct{} // something is in claims, or the timer has fired
	stop     chan struct{}
	closing  sync.Once
	done     chan struct{} // closed when nothing of the client is left
	reader   sync.WaitGroup

	// Of run's goroutine alone.
	machine  machine
	timer    clock.Timer
	claim    *stack.AddressClaim
	epoch    int   // of the claim
	direct   bool  // the address was added without a claim
	has      bool  // the interface has the address
	wants    Lease // what is to be configured once it has
	current  Lease // what is configured
	mtu      int   // of the interface before the lease changed it, 0: unchanged
	linkLost bool

	mu      sync.Mutex
	claims  []claimEvent // not handled yet
	state   State        // copies for State and Lease
	lease   Lease
	changed chan struct{} // closed when state changes
}

type claimEvent struct {
	arp.ClaimEvent
	epoch int
}

// Start begins to ask for an address, without waiting for one. The client lasts
// until Close, which comes before that of the host. The error is ENODEV, or that
// of the UDP socket.
func Start(h *stack.Host, c Config) (*Client, error) {
	i := h.Interface(c.Interface)
	if i == nil || i.Loopback() {
		return nil, fmt.Errorf("dhcp: interface %s: %w", c.Interface, syscall.ENODEV)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Rand == nil {
		c.Rand = random.Secure()
	}
	conn, err := h.UDP().Listen(netip.AddrPortFrom(netip.IPv4Unspecified(), clientPort), udp.SocketConfig{Interface: i.Index(), Broadcast: true})
	if err != nil {
		return nil, fmt.Errorf("dhcp: interface %s: %w", c.Interface, err)
	}
	cl := &Client{
		config: c, host: h, iface: i, conn: conn, machine: machine{rand: c.Rand},
		received: make(chan []byte), wake: make(chan struct{}, 1), stop: make(chan struct{}), done: make(chan struct{}), changed: make(chan struct{}),
	}
	cl.reader.Go(cl.read)
	go cl.run()
	return cl, nil
}

// Close gives the address back to the server and takes it from the interface. It
// waits a second at most for the server's hardware address, and does nothing the
// second time.
func (c *Client) Close() {
	c.closing.Do(func() { close(c.stop) })
	<-c.done
}

// Interface returns the name of the interface.
func (c *Client) Interface() string { return c.config.Interface }

// State returns where the client is.
func (c *Client) State() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// Lease returns what the interface has from a server; ok is false when there is
// nothing.
func (c *Client) Lease() (l Lease, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lease, c.lease.Addr.IsValid()
}

// Changes returns the state, and a channel that is closed when it is another.
func (c *Client) Changes() (State, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.changed
}

// read passes messages on.
func (c *Client) read() {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := c.conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil || from.Port() != serverPort {
			continue
		}
		select {
		case c.received <- append([]byte(nil), buf[:n]...):
		case <-c.stop:
			return
		}
	}
}

// run is the client's life.
func (c *Client) run() {
	defer close(c.done)
	c.do(c.machine.start(c.config.Clock.Now()))
	for {
		select {
		case b := <-c.received:
			if a, err := parseAnswer(b, c.iface.Addr()); err == nil {
				c.do(c.machine.received(c.config.Clock.Now(), a))
			} else if !errors.Is(err, errNotForUs) {
				c.config.Logger.Debug("DHCP message ignored", "name", c.config.Interface, "err", err)
			}
		case <-c.wake:
			c.do(c.machine.timer(c.config.Clock.Now()))
			for _, ev := range c.takeClaims() {
				c.claimed(ev)
			}
		case <-c.stop:
			c.do(c.machine.stop(c.config.Clock.Now()))
			c.conn.Close()
			c.reader.Wait()
			return
		}
	}
}

// poke has run look at timer and claims.
func (c *Client) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// do does what the machine wants, and prepares for what comes next.
func (c *Client) do(a action) {
	level := slog.LevelInfo
	if a.Quiet {
		level = slog.LevelDebug
	}
	if a.Note != "" {
		c.config.Logger.Log(context.Background(), level, "DHCP: "+a.Note, "name", c.config.Interface)
	}
	// First, because a release leaves from the address that is given back.
	if a.Send != nil {
		c.send(*a.Send)
	}
	before := c.current
	if a.Withdraw {
		c.withdraw()
	}
	if a.Configure != nil {
		c.configure(*a.Configure)
	}
	c.publish()
	if c.config.Changed != nil && (a.Withdraw || a.Configure != nil || before.Addr != c.current.Addr) {
		c.config.Changed()
	}
	c.arm()
}

func (c *Client) arm() {
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	if next := c.machine.next; !next.IsZero() {
		c.timer = c.config.Clock.AfterFunc(max(next.Sub(c.config.Clock.Now()), 0), c.poke)
	}
}

// publish lets others see the state.
func (c *Client) publish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lease = Lease{}
	if c.has {
		c.lease = c.current
	}
	if c.state != c.machine.state {
		c.state = c.machine.state
		close(c.changed)
		c.changed = make(chan struct{})
	}
}

// send sends a message. What fails is tried again when its time has come.
func (c *Client) send(q query) {
	b := q.encode(identity{addr: c.iface.Addr(), hostname: c.config.Hostname, mtu: c.iface.MTU()})
	var err error
	if q.To == everybody {
		err = c.broadcast(b, q.Client)
	} else {
		_, err = c.conn.Send(b, netip.AddrPortFrom(q.To, serverPort), udp.SendOptions{Source: q.Client})
	}
	log := c.config.Logger
	if err != nil {
		log.Debug("DHCP message not sent", "name", c.config.Interface, "type", q.Type.String(), "err", err)
		return
	}
	log.Debug("DHCP message sent", "name", c.config.Interface, "type", q.Type.String(), "to", q.To.String())
	if q.Type == release {
		c.awaitNeighbour(q)
	}
}

// broadcast sends a message from an address, or from 0.0.0.0 whatever addresses
// the host has on other interfaces, as no socket does.
func (c *Client) broadcast(b []byte, src netip.Addr) error {
	path, err := c.host.IPv4().OutputPath(everybody, netip.Addr{}, c.iface.Index())
	if err != nil {
		return err
	}
	if path.Src = src; !src.IsValid() {
		path.Src = netip.IPv4Unspecified()
	}
	p := link.NewPacket(udp.HeaderLen + len(b))
	d := p.Bytes()
	udp.Header{SrcPort: clientPort, DstPort: serverPort, Length: len(d)}.Put(d)
	copy(d[udp.HeaderLen:], b)
	udp.SetChecksum(d, path.Src, everybody)
	return c.host.IPv4().OutputBy(path, p, ipv4.Send{Dst: everybody, Protocol: ipv4.ProtocolUDP, Interface: c.iface.Index()})
}

// awaitNeighbour gives a last message the time to leave: one whose next hop is
// not resolved goes with the host.
func (c *Client) awaitNeighbour(q query) {
	const step, steps = 10 * time.Millisecond, 100
	path, err := c.host.IPv4().OutputPath(q.To, q.Client, c.iface.Index())
	if err != nil {
		return
	}
	for range steps {
		if e, ok := c.host.Neighbours().Lookup(c.iface.Index(), path.NextHop(q.To)); !ok || e.State.Valid() {
			return
		}
		slept := make(chan struct{})
		c.config.Clock.AfterFunc(step, func() { close(slept) })
		<-slept
	}
}
