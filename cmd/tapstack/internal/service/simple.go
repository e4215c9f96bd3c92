package service

import (
	"errors"
	"io"
	"net"

	"github.com/tapstack/tapstack/link"
)

// maxDatagram is the largest payload of UDP over IPv4 in bytes.
const maxDatagram = 65507

// echoStream sends back what it reads (RFC 862).
func echoStream(c net.Conn) (int64, error) { return io.Copy(c, c) }

// echoPacket sends each datagram back to where it came from.
func echoPacket(c net.PacketConn) {
	eachPacket(c, func(b []byte, from net.Addr) { c.WriteTo(b, from) })
}

// discardStream throws away what it reads (RFC 863).
func discardStream(c net.Conn) (int64, error) { return io.Copy(io.Discard, c) }

func discardPacket(c net.PacketConn) { eachPacket(c, func([]byte, net.Addr) {}) }

// eachPacket calls f with every datagram until c is closed. Other errors are
// about somebody else: an ICMP message that came back for an answer.
func eachPacket(c net.PacketConn, f func([]byte, net.Addr)) {
	buf := make([]byte, maxDatagram)
	for {
		n, from, err := c.ReadFrom(buf)
		if err == nil {
			f(buf[:n], from)
		} else if errors.Is(err, net.ErrClosed) {
			return
		}
	}
}

// chargenBlock returns whole rounds of RFC 864's pattern, lines of 72 of the 95
// printing characters that begin one later each time.
func chargenBlock() (k *link.Chunk, block []byte) {
	const printing, width = 95, 72
	const rounds = link.MaxChunk / (printing * (width + 2))
	k = link.NewChunk(link.MaxChunk)
	block = k.Bytes()[:0]
	for first := range rounds * printing {
		for i := range width {
			block = append(block, ' '+byte((first+i)%printing))
		}
		block = append(block, '\r', '\n')
	}
	return k, block
}

// chargen sends RFC 864's pattern as fast as it can, and ignores what it is sent.
func (g *Group) chargen(c net.Conn) {
	write := c.Write
	if s, ok := c.(interface {
		WriteChunk(k *link.Chunk, b []byte) (int, error)
	}); ok {
		write = func(b []byte) (int, error) { return s.WriteChunk(g.pattern, b) }
	}
	for {
		if _, err := write(g.patternBytes); err != nil {
			return
		}
	}
}
