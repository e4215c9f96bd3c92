package main

import (
	"errors"
	"fmt"
	"net"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/link/pipe"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack"
)

// tapstackHost is a host with two ports that forwards.
type tapstackHost struct {
	*stack.Host
	ports [2]*port
	index [2]int
}

// newTapstackHost returns a host with n neighbours on its second port, and peer on
// its first.
func newTapstackHost(n int) (*tapstackHost, error) {
	s, err := stack.New(stack.Config{})
	if err != nil {
		return nil, err
	}
	h := &tapstackHost{Host: s}
	if err := h.configure(n); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return h, nil
}

func (h *tapstackHost) configure(n int) error {
	for k := range h.ports {
		h.ports[k] = newPort(portMAC[k])
		name := fmt.Sprintf("t%d", k)
		i, err := h.AddInterface(stack.InterfaceConfig{Name: name, Device: h.ports[k], Addrs: prefixes(k)})
		if err != nil {
			return err
		}
		h.index[k] = i.Index()
	}
	for _, name := range []string{"net.ipv4.conf.all.send_redirects", "net.ipv4.conf.t1.send_redirects"} {
		if err := h.SetSysctl(name, "0"); err != nil {
			return err
		}
	}
	if err := h.SetSysctl("net.ipv4.ip_forward", "1"); err != nil {
		return err
	}
	request := func(k int) neighbour.Request {
		return neighbour.Request{LLAddr: nthMAC(k), HasLLAddr: true, State: neighbour.Permanent, Create: true}
	}
	err := h.Neighbours().Set(h.index[0], peer, neighbour.Request{LLAddr: peerMAC, HasLLAddr: true, State: neighbour.Permanent, Create: true})
	for k := range n {
		err = errors.Join(err, h.Neighbours().Set(h.index[1], nth(k), request(k)))
	}
	return err
}

func (h *tapstackHost) closer() func() { return func() { _ = h.Close() } }

// expect is an error unless a port has written so many frames.
func expect(what string, have, want int64) error {
	if have != want {
		return fmt.Errorf("%d %s of %d", have, what, want)
	}
	return nil
}

// take forgets the neighbours that the last batch resolved, of which there were so
// many. The few are taken again and again: addresses are limited.
func (h *tapstackHost) take(before int) error {
	for k := range before {
		if err := h.Neighbours().Delete(h.index[1], nth(freshOffset+k)); err != nil {
			return err
		}
	}
	return nil
}

// resolveBatch is how many resolutions are under way at once: the more, the less it
// counts that a benchmark is stopped and started for each batch.
const resolveBatch = 256

func tapstackReply(n int) (*trial, error) {
	h, err := newTapstackHost(n)
	if err != nil {
		return nil, err
	}
	var datagrams, replies [resolveBatch][]byte
	for k := range datagrams {
		datagrams[k], replies[k] = udpFrame(nth(freshOffset+k), 64), replyFrame(freshOffset+k)
	}
	last := 0
	return &trial{
		batch: resolveBatch,
		close: h.closer(),
		prepare: func(_, n int) error {
			if err := h.take(last); err != nil {
				return err
			}
			last = n
			before := h.ports[1].arps.Load()
			h.ports[0].play(n, func(k int) []byte { return datagrams[k] })
			return expect("requests", h.ports[1].arps.Load()-before, int64(n))
		},
		run: func(_, n int) error {
			before := h.ports[1].datagrams.Load()
			h.ports[1].play(n, func(k int) []byte { return replies[k] })
			return expect("datagrams forwarded", h.ports[1].datagrams.Load()-before, int64(n))
		},
	}, nil
}

func tapstackExchange() (*trial, error) {
	h, err := newTapstackHost(1)
	if err != nil {
		return nil, err
	}
	var frames [2 * resolveBatch][]byte
	for k := range resolveBatch {
		frames[2*k], frames[2*k+1] = onOwnLink(udpFrame(nth(freshOffset+k), 64)), replyFrame(freshOffset+k)
	}
	last := 0
	return &trial{
		batch: resolveBatch,
		close: h.closer(),
		prepare: func(_, n int) error {
			err := h.take(last)
			last = n
			return err
		},
		run: func(_, n int) error {
			arps, datagrams := h.ports[1].arps.Load(), h.ports[1].datagrams.Load()
			h.ports[1].play(2*n, func(k int) []byte { return frames[k] })
			return errors.Join(
				expect("requests", h.ports[1].arps.Load()-arps, int64(n)),
				expect("datagrams forwarded", h.ports[1].datagrams.Load()-datagrams, int64(n)))
		},
	}, nil
}

func tapstackRequest() (*trial, error) {
	h, err := newTapstackHost(1)
	if err != nil {
		return nil, err
	}
	request := arpFrame(1, arp.Request, nth(freshOffset), nthMAC(freshOffset))
	return &trial{close: h.closer(), run: func(_, n int) error {
		before := h.ports[1].arps.Load()
		h.ports[1].play(n, repeat(request))
		return expect("replies", h.ports[1].arps.Load()-before, int64(n))
	}}, nil
}

// tapstackThrough plays frames into the first port and counts datagrams that
// leave by port out.
func tapstackThrough(neighbours, out int, frame func(int) []byte) (*trial, error) {
	h, err := newTapstackHost(neighbours)
	if err != nil {
		return nil, err
	}
	return &trial{close: h.closer(), run: func(_, n int) error {
		before := h.ports[out].datagrams.Load()
		h.ports[0].play(n, frame)
		return expect("datagrams", h.ports[out].datagrams.Load()-before, int64(n))
	}}, nil
}

func tapstackForward(size int) (*trial, error) { return tapstackThrough(256, 1, forwarded(size)) }

func tapstackEcho(size int) (*trial, error) { return tapstackThrough(0, 0, repeat(echoFrame(size))) }

func tapstackUDPEcho(size int) (*trial, error) {
	h, err := newTapstackHost(0)
	if err != nil {
		return nil, err
	}
	h.ports[0].wrote = make(chan struct{}, 1)
	pc, err := h.ListenPacket("udp4", fmt.Sprintf("%v:%d", portAddr[0].Addr(), echoPort))
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	go echoDatagrams(pc)
	frame := udpFrame(portAddr[0].Addr(), size)
	return &trial{close: h.closer(), run: func(_, n int) error {
		h.ports[0].play(n, func(k int) []byte {
			if k > 0 {
				<-h.ports[0].wrote
			}
			return frame
		})
		<-h.ports[0].wrote
		return nil
	}}, nil
}

func tapstackStream() (*trial, error) {
	a, b := pipe.New(pipe.Config{Queue: 1 << 14})
	var hosts [2]*stack.Host
	for k, d := range []*pipe.Device{a, b} {
		h, err := stack.New(stack.Config{})
		if err != nil {
			return nil, err
		}
		hosts[k] = h
		if _, err := h.AddInterface(stack.InterfaceConfig{Name: "t0", Device: d, Addrs: streamPrefixes(k)}); err != nil {
			return nil, err
		}
	}
	l, err := hosts[1].Listen("tcp4", streamAddr)
	if err != nil {
		return nil, err
	}
	return stream(func() (net.Conn, error) { return hosts[0].Dial("tcp4", streamAddr) }, l, func() {
		_ = hosts[0].Close()
		_ = hosts[1].Close()
	})
}
