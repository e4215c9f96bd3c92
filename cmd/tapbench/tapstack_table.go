package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/neighbour"
)

// handBack is a link that undoes the header, so that the packet can be sent again.
type handBack struct{}

func (handBack) Write(p *link.Packet) error {
	p.Pull(link.EthernetHeaderLen)
	return nil
}

// newTable returns a table with the neighbours of a load, each of which has been
// sent a packet.
func newTable(l load) (*neighbour.Table, *neighbour.Interface, []netip.Addr, error) {
	t := neighbour.New(neighbour.Config{})
	i, err := t.AddInterface(neighbour.InterfaceConfig{Index: 1, Name: "t0", Addr: portMAC[1], Link: handBack{}})
	if err != nil {
		return nil, nil, nil, err
	}
	p := newDatagram()
	defer p.Release()
	for k := range l.n {
		u := neighbour.Update{LLAddr: nthMAC(k), HasLLAddr: true, State: neighbour.Permanent, Flags: neighbour.Admin | neighbour.Override | neighbour.Create}
		err := errors.Join(t.Update(1, nth(k), u), i.Output(nth(k), p))
		if err != nil {
			t.Close()
			return nil, nil, nil, err
		}
	}
	var addrs []netip.Addr
	for _, k := range visits(l) {
		addrs = append(addrs, nth(k))
	}
	return t, i, addrs, nil
}

func newDatagram() *link.Packet {
	p := link.NewPacketFrom(udpFrame(nth(0), 64)[link.EthernetHeaderLen:])
	p.EtherType = link.IPv4
	return p
}

func tapstackLookup(l load) (*trial, error) {
	t, i, addrs, err := newTable(l)
	if err != nil {
		return nil, err
	}
	mask := len(addrs) - 1
	return &trial{close: t.Close, run: func(worker, n int) error {
		found := 0
		for k := worker * 31; n > 0; k, n = k+1, n-1 {
			if _, s, ok := i.Lookup(addrs[k&mask]); !ok || !s.Valid() {
				return fmt.Errorf("no neighbour %v after %d found", addrs[k&mask], found)
			}
			found++
		}
		return nil
	}}, nil
}

func tapstackOutput(l load) (*trial, error) {
	t, i, addrs, err := newTable(l)
	if err != nil {
		return nil, err
	}
	mask := len(addrs) - 1
	return &trial{close: t.Close, run: func(worker, n int) error {
		p := newDatagram()
		defer p.Release()
		for k := worker * 31; n > 0; k, n = k+1, n-1 {
			if err := i.Output(addrs[k&mask], p); err != nil {
				return err
			}
		}
		// The header of the last one is still in front of the packet.
		first := nthMAC(0)
		if dst := link.Addr(p.Push(link.EthernetHeaderLen)); !bytes.HasPrefix(dst[:], first[:2]) {
			return fmt.Errorf("sent to %v, which is nobody's address", dst)
		}
		return nil
	}}, nil
}
