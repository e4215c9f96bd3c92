package control

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"github.com/tapstack/tapstack/ipv4/udp"
)

// udpConfig is what a session's socket begins with; like netcat's, it may send
// broadcasts.
func udpConfig(q NCRequest, dev int) udp.SocketConfig {
	return udp.SocketConfig{Interface: dev, Broadcast: true, ReceiveErrors: q.RecvErr, ReuseAddr: q.Listen}
}

// udpSocket is a datagram socket: connected, or one that answers whom it hears.
type udpSocket struct {
	conn   *udp.Conn
	listen bool

	mu   sync.Mutex
	peer netip.AddrPort // of a listener: where the client's datagrams go
}

func (u *udpSocket) close() { u.conn.Close() }

func (u *udpSocket) serve(n *ncServer) {
	ends := Endpoints{Local: u.conn.LocalAddrPort().String()}
	if !u.listen {
		ends.Remote = u.conn.RemoteAddrPort().String()
	}
	n.sess.sendJSON(FrameReady, ends)
	received := make(chan struct{})
	go func() {
		defer close(received)
		u.receive(n)
	}()
	u.transmit(n)
	u.conn.Close()
	<-received
}

func (u *udpSocket) receive(n *ncServer) {
	buf := make([]byte, MaxFrame)
	for {
		k, from, err := u.conn.ReadFromUDPAddrPort(buf)
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			u.report(n, err)
		case u.heard(n, from):
			if n.sess.Send(FrameData, buf[:k]) != nil {
				return
			}
		}
	}
}

// heard notes who sent a datagram, and reports whether the client wants it: a
// listener that does not keep on stays with the first peer.
func (u *udpSocket) heard(n *ncServer, from netip.AddrPort) bool {
	if !u.listen {
		return true
	}
	u.mu.Lock()
	old := u.peer
	if !old.IsValid() || n.q.Keep {
		u.peer = from
	}
	now := u.peer
	u.mu.Unlock()
	if now != old {
		n.sess.sendJSON(FramePeer, Endpoints{u.conn.LocalAddrPort().String(), from.String()})
	}
	return now == from
}

// report tells of an error that came back for a datagram, with IP_RECVERR of all
// that wait.
func (u *udpSocket) report(n *ncServer, err error) {
	told := false
	for {
		e, ok := u.conn.NextError()
		if !ok {
			break
		}
		n.fail(e.Errno, false)
		told = true
	}
	if !told {
		n.fail(err, false)
	}
}

func (u *udpSocket) transmit(n *ncServer) {
	for {
		f, err := n.sess.Receive()
		if err != nil {
			return
		}
		switch f.Type {
		case FrameData:
		case FrameEnd:
			continue // a datagram socket has no end to send
		default:
			return
		}
		u.mu.Lock()
		to := u.peer
		u.mu.Unlock()
		if u.listen && !to.IsValid() {
			continue // nobody has been heard yet
		}
		_, err = u.conn.Send(f.Payload, to, udp.SendOptions{Confirm: n.q.Confirm})
		switch {
		case err == nil:
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, syscall.ECONNREFUSED), n.q.RecvErr:
			// It is about an earlier datagram, and kept this one from being
			// sent, as in Linux.
			u.report(n, err)
		default:
			n.fail(err, true)
		}
	}
}
