package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
)

// sockets is one stack's, in net's shapes: what a program sees of it.
type sockets interface {
	listen(port int) (net.Listener, error)
	listenPacket(port int) (net.PacketConn, error)
}

// The ports of the program that every stack is measured with; echoPort is both
// TCP's and UDP's.
const (
	discardPort = 9
	chargenPort = 19
	httpPort    = 80
	digestPort  = 5002
	sourcePort  = 5003
	blastPort   = 5004
)

// serve starts the program on a stack and returns when it can be talked to.
func serve(s sockets) error {
	for port, handle := range map[int]func(net.Conn){
		echoPort:    echo,
		discardPort: discard,
		chargenPort: chargen,
		digestPort:  digest,
		sourcePort:  source,
		blastPort:   func(c net.Conn) { blast(c, s) },
	} {
		l, err := s.listen(port)
		if err != nil {
			return fmt.Errorf("tcp port %d: %w", port, err)
		}
		go accept(l, handle)
	}
	pc, err := s.listenPacket(echoPort)
	if err != nil {
		return fmt.Errorf("udp port %d: %w", echoPort, err)
	}
	go echoDatagrams(pc)
	l, err := s.listen(httpPort)
	if err != nil {
		return fmt.Errorf("tcp port %d: %w", httpPort, err)
	}
	hello := func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello\n") }
	go func() { _ = http.Serve(l, http.HandlerFunc(hello)) }()
	return nil
}

func accept(l net.Listener, handle func(net.Conn)) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			handle(c)
		}()
	}
}

// echo sends back what it reads. Its buffer is small, for there are thousands of
// them that have nothing to do.
func echo(c net.Conn) {
	b := make([]byte, 256)
	for {
		n, err := c.Read(b)
		if err == nil {
			_, err = c.Write(b[:n])
		}
		if err != nil {
			return
		}
	}
}

// bulkBuffer is what programs and clients read and write at once in bulk.
const bulkBuffer = 256 << 10

func discard(c net.Conn) {
	b := make([]byte, bulkBuffer)
	for {
		if _, err := c.Read(b); err != nil {
			return
		}
	}
}

func chargen(c net.Conn) {
	b := make([]byte, bulkBuffer)
	for {
		if _, err := c.Write(b); err != nil {
			return
		}
	}
}

// noise is a stream of bytes of which no two parts are alike; one seed, one stream.
func noise(seed uint64, size int64) io.Reader {
	var s [32]byte
	binary.BigEndian.PutUint64(s[:], seed)
	return io.LimitReader(rand.NewChaCha8(s), size)
}

// digest answers with the SHA-256 of all it has read.
func digest(c net.Conn) {
	h := sha256.New()
	if _, err := io.CopyBuffer(h, onlyReader{c}, make([]byte, bulkBuffer)); err != nil {
		return
	}
	_, _ = c.Write(h.Sum(nil))
}

// source reads a seed and a size, eight bytes each, and sends that noise.
func source(c net.Conn) {
	var b [16]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return
	}
	r := noise(binary.BigEndian.Uint64(b[:]), int64(binary.BigEndian.Uint64(b[8:])))
	_, _ = io.CopyBuffer(onlyWriter{c}, r, make([]byte, bulkBuffer))
}

// onlyReader and onlyWriter hide what else a connection can do, so that every
// stack moves data with the same calls.
type (
	onlyReader struct{ io.Reader }
	onlyWriter struct{ io.Writer }
)

// blastDatagram is the destination port of the datagrams of blast.
const blastDatagram = 9999

// blast reads an IPv4 address and a count, four bytes each, and sends a datagram
// to each of that many addresses from there on.
func blast(c net.Conn, s sockets) {
	var b [8]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return
	}
	pc, err := s.listenPacket(0)
	if err != nil {
		return
	}
	defer pc.Close()
	first := binary.BigEndian.Uint32(b[:])
	for k := range binary.BigEndian.Uint32(b[4:]) {
		var a [4]byte
		binary.BigEndian.PutUint32(a[:], first+k)
		to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.AddrFrom4(a), blastDatagram))
		_, _ = pc.WriteTo(a[:], to) // what is lost is counted where it should arrive
	}
}
