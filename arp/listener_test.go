package arp

import (
	"errors"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
)

func TestListen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		one, all := b.arp.Listen(1, 8), b.arp.Listen(0, 8)
		b.arp.SetFilter(func(Direction, int, Packet) bool { return false })
		ask, answer := request(macA, "0.0.0.0", "10.0.0.2"), reply(macB, "10.0.1.9", "10.0.0.2")
		b.in(1, link.Broadcast, ask)
		pass(time.Second)
		b.in(2, link.Host, answer)
		b.in(1, link.Broadcast, Packet{Op: 9})
		b.arp.Announce(1, ip("10.0.0.2"))

		first := Received{Packet: ask, Time: time.Now().Add(-time.Second), Interface: 1, From: macFrame, Class: link.Broadcast}
		second := Received{Packet: answer, Time: time.Now(), Interface: 2, From: macFrame, Class: link.Host}
		require.Equal(t, first, <-one.C, "before the filter")
		require.Empty(t, one.C, "nothing of another interface, nothing malformed, nothing of our own")
		require.Equal(t, first, <-all.C)
		require.Equal(t, second, <-all.C)

		one.Close()
		one.Close()
		_, open := <-one.C
		require.False(t, open)
		b.arp.SetFilter(nil)
		b.arp.Close()
		_, open = <-all.C
		require.False(t, open, "ends with the protocol")
		require.Nil(t, b.arp.hooks.Load(), "nobody listens")
		_, open = <-b.arp.Listen(0, 1).C
		require.False(t, open)
		all.deliver(first) // a delivery that was under way
	})
}

func TestSlowListener(t *testing.T) {
	b := newBench(t)
	l := b.arp.Listen(1, 2)
	defer l.Close()
	for range 5 {
		b.in(1, link.Host, reply(macA, "10.0.0.9", "10.0.0.2"))
	}
	require.EqualValues(t, 3, l.Missed())
	require.Zero(t, (<-l.C).Missed)
	b.in(1, link.Host, reply(macB, "10.0.0.9", "10.0.0.2"))
	<-l.C
	r := <-l.C
	require.EqualValues(t, 3, r.Missed, "told with the next")
	require.Equal(t, macB, r.SenderAddr)
}

func TestListenersComeAndGoUnderTraffic(t *testing.T) {
	b := newBench(t)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 500 {
			b.in(1, link.Host, reply(macA, "10.0.0.9", "10.0.0.2"))
		}
	})
	for range 50 {
		l := b.arp.Listen(0, 1)
		wg.Go(func() {
			for range l.C {
			}
		})
		l.Close()
	}
	wg.Wait()
	require.Nil(t, b.arp.hooks.Load())
}

func TestListeningDoesNotAllocate(t *testing.T) {
	b := newBench(t)
	l := b.arp.Listen(1, 1)
	a := reply(macA, "10.0.0.9", "10.0.0.2")
	linktest.WantNoAllocs(t, func() {
		b.in(1, link.Host, a)
		<-l.C
	})
}

func TestSend(t *testing.T) {
	b := newBench(t)
	require.NoError(t, b.arp.Send(1, link.BroadcastAddr, Packet{Op: Request, SenderAddr: macB, TargetIP: ip("10.0.0.9")}))
	require.NoError(t, b.arp.Send(1, macA, Packet{Op: Reply, SenderAddr: ourM, SenderIP: ip("10.0.0.2"), TargetAddr: macA, TargetIP: ip("10.0.0.9")}))
	b.wantSent("OUT-1 as asked, in frames of our own",
		"eth1 us > all request: 0.0.0.0 is-at B, 10.0.0.9 is-at -, 42 bytes",
		"eth1 us > A reply: 10.0.0.2 is-at us, 10.0.0.9 is-at A, 42 bytes")
	require.EqualValues(t, 1, b.arp.Stats.OutRequests.Load())
	require.EqualValues(t, 1, b.arp.Stats.OutReplies.Load())

	good := Packet{Op: Request, SenderAddr: ourM, TargetIP: ip("10.0.0.9")}
	require.ErrorIs(t, b.arp.Send(7, macA, good), syscall.ENODEV)
	require.ErrorIs(t, b.arp.Send(1, macA, Packet{Op: 9}), syscall.EINVAL)
	require.ErrorIs(t, b.arp.Send(1, macA, Packet{Op: Request, TargetIP: ip("fe80::1")}), syscall.EINVAL)
	b.arp.SetFilter(func(Direction, int, Packet) bool { return false })
	require.ErrorIs(t, b.arp.Send(1, macA, good), syscall.EPERM, "ARP-34")
	b.arp.SetFilter(nil)
	full := errors.New("full")
	b.arp.edit(1, func(i *iface) { i.dev = broken{full} })
	require.ErrorIs(t, b.arp.Send(1, macA, good), full)
	require.EqualValues(t, 1, b.arp.Stats.OutErrors.Load())
	b.arp.SetNoARP(1, true)
	require.ErrorIs(t, b.arp.Send(1, macA, good), syscall.EOPNOTSUPP, "OUT-4")
	b.wantSent("none of it sent")
}

type broken struct{ err error }

func (d broken) Write(p *link.Packet) error { p.Release(); return d.err }
