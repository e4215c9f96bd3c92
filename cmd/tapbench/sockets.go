package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
)

func prefixes(port int) []netip.Prefix { return portAddr[port : port+1] }

// echoDatagrams is a program that sends back what it gets, until pc is closed.
func echoDatagrams(pc net.PacketConn) {
	buf := make([]byte, 2048)
	for {
		n, from, err := pc.ReadFrom(buf)
		if err != nil {
			return
		}
		if _, err := pc.WriteTo(buf[:n], from); err != nil {
			return
		}
	}
}

// Two hosts, the second of which is sent a stream.
const (
	streamChunk = 64 << 10
	streamAddr  = "10.9.0.2:5001"
	streamPort  = 5001
)

func streamPrefixes(k int) []netip.Prefix {
	return []netip.Prefix{netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 0, byte(k + 1)}), 24)}
}

// stream connects to l and makes a trial of writing to the connection. The stacks
// are closed with closing; l is, too, as soon as it is not needed.
func stream(dial func() (net.Conn, error), l net.Listener, closing func()) (*trial, error) {
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			c = nil
		}
		accepted <- c
	}()
	from, err := dial()
	if err != nil {
		closing()
		return nil, fmt.Errorf("stream: dial: %w", err)
	}
	to := <-accepted
	if to == nil {
		closing()
		return nil, errors.New("stream: not accepted")
	}
	out, in := make([]byte, streamChunk), make([]byte, streamChunk)
	for k := range out {
		out[k] = byte(k ^ k>>8)
	}
	return &trial{
		close: func() {
			_ = from.Close()
			_ = to.Close()
			_ = l.Close()
			closing()
		},
		run: func(_, n int) error {
			received := make(chan error, 1)
			go func() {
				var err error
				for k := 0; k < n && err == nil; k++ {
					_, err = io.ReadFull(to, in)
				}
				received <- err
			}()
			for range n {
				if _, err := from.Write(out); err != nil {
					return err
				}
			}
			if err := <-received; err != nil {
				return err
			}
			if string(in) != string(out) {
				return errors.New("stream: what arrived is not what was sent")
			}
			return nil
		},
	}, nil
}
