package tcp

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/nettest"

	"github.com/tapstack/tapstack/stack/random"
)

// TestConn runs the standard tests of a net.Conn in real time, on two hosts
// without delay between them.
func TestConn(t *testing.T) {
	nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
		p := newQueuePair()
		l, err := p.b.Listen(netip.AddrPortFrom(p.bIP.addr, 80), SocketConfig{})
		if err != nil {
			return nil, nil, nil, err
		}
		defer l.Close()
		c1, err = p.a.Dial(t.Context(), netip.AddrPort{}, netip.AddrPortFrom(p.bIP.addr, 80), SocketConfig{})
		if err != nil {
			return nil, nil, nil, err
		}
		if c2, err = l.Accept(); err != nil {
			return nil, nil, nil, err
		}
		return c1, c2, func() {
			c1.Close()
			c2.Close()
			time.Sleep(time.Millisecond) // FINs and their ACKs cross
			p.close()
		}, nil
	})
}

// queuePair is two hosts whose packets are handed over by a goroutine each.
type queuePair struct {
	a, b     *Protocol
	aIP, bIP *testIP
	close    func()
}

func newQueuePair() *queuePair {
	p := &queuePair{
		aIP: &testIP{addr: netip.MustParseAddr("10.0.0.1"), mtu: 1500},
		bIP: &testIP{addr: netip.MustParseAddr("10.0.0.2"), mtu: 1500},
	}
	stopA, stopB := p.aIP.queueTo(p.bIP), p.bIP.queueTo(p.aIP)
	p.a = newProtocol(p.aIP, Config{Rand: random.New(1)})
	p.b = newProtocol(p.bIP, Config{Rand: random.New(2)})
	p.close = func() {
		p.a.Close()
		p.b.Close()
		stopA()
		stopB()
	}
	return p
}
