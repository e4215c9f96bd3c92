package icmp

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
	"math/rand/v2"
)

// Config holds what a Protocol needs from its host.
type Config struct {
	Clock clock.Clock
	Rand  *rand.Rand
	Drops *link.Drops
}

// Protocol is the ICMP of one host.
type Protocol struct{ ip *ipv4.Protocol }

// New registers ICMP with ip.
func New(ip *ipv4.Protocol, c Config) *Protocol { return &Protocol{ip: ip} }

// Close closes the ping sockets.
func (pr *Protocol) Close() {}

func (pr *Protocol) SetSysctl(name string, v int) error { return errors.ErrUnsupported }
func (pr *Protocol) Sysctl(name string) (int, error)    { return 0, errors.ErrUnsupported }

// EchoConn is a ping socket.
type EchoConn struct{ pr *Protocol }

// EchoReply is an answer to an echo request, or an error about it.
type EchoReply struct {
	From       netip.Addr // who answered, or reported Err
	Seq        uint16
	TTL        uint8
	RTT        time.Duration // since the request of that sequence number left
	Payload    []byte        // of the reply; the caller's
	Err        error         // nil for a reply; an errno for an ICMP error
	Type, Code uint8         // of the ICMP message
}

// EchoRequest is what Send sends.
type EchoRequest struct {
	Dst      netip.Addr
	Seq      uint16
	Payload  []byte
	TTL, TOS uint8
	DF       bool
}

// ListenEcho opens a ping socket.
func (pr *Protocol) ListenEcho(laddr netip.Addr, oif int) (*EchoConn, error) {
	return nil, errors.ErrUnsupported
}
func (c *EchoConn) ID() uint16               { return 0 }
func (c *EchoConn) Send(r EchoRequest) error { return errors.ErrUnsupported }
func (c *EchoConn) Receive(ctx context.Context) (EchoReply, error) {
	return EchoReply{}, errors.ErrUnsupported
}
func (c *EchoConn) SetReadDeadline(t time.Time) error { return errors.ErrUnsupported }
func (c *EchoConn) Close() error                      { return nil }
