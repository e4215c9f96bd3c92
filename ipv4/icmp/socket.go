package icmp

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// ListenEchoID is ListenEcho with the identifier id; EADDRINUSE says that another
// socket has it. 0 is any.
func (pr *Protocol) ListenEchoID(laddr netip.Addr, oif int, id uint16) (*EchoConn, error) {
	return pr.listenEcho(laddr, oif, id)
}

// Notify has f called whenever there is something to receive, with no lock held,
// in the goroutine that received it; f must not block. It replaces the one before;
// nil is none.
func (c *EchoConn) Notify(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.onEvent = f
}

// TryReceive is Receive that does not wait: the error is EAGAIN when there is
// nothing.
func (c *EchoConn) TryReceive() (EchoReply, error) {
	select {
	case r := <-c.replies:
		return r, nil
	case <-c.done:
		return EchoReply{}, fmt.Errorf("icmp: receive: %w", net.ErrClosed)
	default:
		return EchoReply{}, fmt.Errorf("icmp: receive: %w", syscall.EAGAIN)
	}
}
