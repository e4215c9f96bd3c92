package tcp

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
)

// wires takes two connected hosts apart: it returns a full data segment of the
// client and an ACK of the server, as the latest that passed, and from then on
// what either sends is lost.
func wires(tb testing.TB, client, server *Conn) (data, ack []byte) {
	record := func(c *Conn, last *[]byte) {
		host := c.pr.ip.(*testIP)
		pass := host.output
		host.output = func(p *link.Packet, s ipv4.Send) error {
			*last = make([]byte, p.Len())
			p.CopyTo(*last)
			return pass(p, s)
		}
	}
	record(client, &data)
	record(server, &ack)
	buf := make([]byte, 1448)
	for range 4 {
		client.Write(buf)
		n, err := server.Read(buf)
		require.NoError(tb, err)
		require.Equal(tb, len(buf), n)
	}
	for _, c := range []*Conn{client, server} {
		host := c.pr.ip.(*testIP)
		host.whole, host.output = true, func(p *link.Packet, _ ipv4.Send) error { p.Release(); return nil }
	}
	return data, ack
}

// arrive hands a segment to a host, whose checksum somebody has verified.
func arrive(to, from *Conn, segment []byte) {
	p := link.NewPacketFrom(segment)
	p.Checksum = link.ChecksumValid
	host := to.pr.ip.(*testIP)
	host.handler.Input(ipv4.Header{Src: from.pr.ip.(*testIP).addr, Dst: host.addr, Protocol: ipv4.ProtocolTCP}, p)
}

// BenchmarkSegmentIn is a full segment from the network layer to Read, with its
// share of the ACKs.
func BenchmarkSegmentIn(b *testing.B) {
	client, server := directPair(b, SocketConfig{})
	data, _ := wires(b, client, server)
	buf := make([]byte, 1448)
	seq := binary.BigEndian.Uint32(data[4:])
	b.SetBytes(1448)
	b.ReportAllocs()
	for b.Loop() {
		seq += 1448
		binary.BigEndian.PutUint32(data[4:], seq)
		arrive(server, client, data)
		if n, _ := server.Read(buf); n != len(buf) {
			b.Fatalf("%d bytes read", n)
		}
	}
}

// BenchmarkSegmentOut is a full segment from Write to the network layer, and its
// ACK.
func BenchmarkSegmentOut(b *testing.B) {
	client, server := directPair(b, SocketConfig{})
	data, ack := wires(b, client, server)
	buf := make([]byte, 1448)
	next := binary.BigEndian.Uint32(data[4:]) + 1448
	binary.BigEndian.PutUint32(ack[8:], next)
	arrive(client, server, ack)
	b.SetBytes(1448)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := client.Write(buf); err != nil {
			b.Fatal(err)
		}
		next += 1448
		binary.BigEndian.PutUint32(ack[8:], next)
		arrive(client, server, ack)
	}
}
