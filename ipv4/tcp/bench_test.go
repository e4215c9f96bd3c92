package tcp

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/stack/random"
)

// directPair is a connection between two hosts whose packets are handed over in
// the call that sends them.
func directPair(tb testing.TB, sc SocketConfig) (client, server *Conn) {
	return directPairConfig(tb, Config{}, sc)
}

func directPairConfig(tb testing.TB, config Config, sc SocketConfig) (client, server *Conn) {
	a := &testIP{addr: netip.MustParseAddr("10.0.0.1"), mtu: 1500}
	b := &testIP{addr: netip.MustParseAddr("10.0.0.2"), mtu: 1500}
	direct := func(from, to *testIP) {
		h := ipv4.Header{Src: from.addr, Dst: to.addr, Protocol: ipv4.ProtocolTCP}
		from.output = func(p *link.Packet, _ ipv4.Send) error {
			to.handler.Input(h, p)
			return nil
		}
	}
	direct(a, b)
	direct(b, a)
	config.Rand = random.New(1)
	pa, pb := newProtocol(a, config), newProtocol(b, config)
	l, err := pb.Listen(netip.AddrPortFrom(b.addr, 80), sc)
	require.NoError(tb, err)
	client, err = pa.Dial(tb.Context(), netip.AddrPort{}, netip.AddrPortFrom(b.addr, 80), sc)
	require.NoError(tb, err)
	server, err = l.AcceptTCP()
	require.NoError(tb, err)
	tb.Cleanup(func() {
		pa.Close()
		pb.Close()
	})
	return client, server
}

func TestNoAllocs(t *testing.T) {
	if linktest.Race() {
		t.Skip("the race detector makes pools allocate")
	}
	client, server := directPair(t, SocketConfig{})
	buf := make([]byte, 1448)
	exchange := func() {
		if _, err := client.Write(buf); err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(buf); {
			m, err := server.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			n += m
		}
	}
	for range 1000 {
		exchange()
	}
	require.Less(t, testing.AllocsPerRun(1000, exchange), 0.1, "a segment out, in, its ACK, and the calls of both users")
}

// BenchmarkSegment is a full segment from Write to Read, with its share of the
// ACKs.
func BenchmarkSegment(b *testing.B) {
	client, server := directPair(b, SocketConfig{})
	buf := make([]byte, 1448)
	b.SetBytes(1448)
	b.ReportAllocs()
	for b.Loop() {
		client.Write(buf)
		server.Read(buf)
	}
}

// BenchmarkBulk is Write of 64 KiB, in segments of 1448 bytes, and its Reads.
func BenchmarkBulk(b *testing.B) {
	client, server := directPair(b, SocketConfig{})
	buf := make([]byte, 64<<10)
	b.SetBytes(int64(len(buf)))
	b.ReportAllocs()
	for b.Loop() {
		client.Write(buf)
		for n := 0; n < len(buf); {
			m, _ := server.Read(buf)
			n += m
		}
	}
}

// BenchmarkRoundTrip is one byte there and back.
func BenchmarkRoundTrip(b *testing.B) {
	client, server := directPair(b, SocketConfig{})
	buf := make([]byte, 1)
	b.ReportAllocs()
	for b.Loop() {
		client.Write(buf)
		server.Read(buf)
		server.Write(buf)
		client.Read(buf)
	}
}

// BenchmarkSetReadDeadline is what net/http and crypto/tls do before every Read.
func BenchmarkSetReadDeadline(b *testing.B) {
	client, _ := directPair(b, SocketConfig{})
	at := time.Now().Add(time.Hour)
	b.ReportAllocs()
	for b.Loop() {
		client.SetReadDeadline(at)
	}
}

// BenchmarkConnect is a connection opened, accepted and closed by both sides.
func BenchmarkConnect(b *testing.B) {
	client, server := directPair(b, SocketConfig{})
	pa, pb := client.pr, server.pr
	l := (*pb.demux.listeners.Load())[listenKey{addr{10, 0, 0, 2}, 80}]
	b.ReportAllocs()
	for b.Loop() {
		c, err := pa.Dial(b.Context(), netip.AddrPort{}, netip.MustParseAddrPort("10.0.0.2:80"), SocketConfig{})
		if err != nil {
			b.Fatal(err)
		}
		s, err := l.Accept()
		if err != nil {
			b.Fatal(err)
		}
		s.Close()
		c.Close()
	}
}

// BenchmarkDemux is a lookup among 1024 connections.
func BenchmarkDemux(b *testing.B) {
	var d demux
	var keys [1024]tuple
	for i := range keys {
		keys[i] = tuple{addr{10, 0, 0, 1}, addr{10, 0, byte(i >> 8), byte(i)}, 80, uint16(30000 + i)}
		d.insert(keys[i], endpoint{conn: new(Conn)}, nil)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if d.lookup(keys[i&1023]).conn == nil {
				b.Fail()
			}
		}
	})
}

// BenchmarkSYNFlood is a SYN from somebody else each time, to a listener whose
// SYN queue they have filled.
func BenchmarkSYNFlood(b *testing.B) {
	_, server := directPair(b, SocketConfig{})
	host := server.pr.ip.(*testIP)
	host.output = func(p *link.Packet, _ ipv4.Send) error { p.Release(); return nil }
	b.ReportAllocs()
	n := uint32(0)
	for b.Loop() {
		n++
		src := netip.AddrFrom4([4]byte{192, byte(n >> 16), byte(n >> 8), byte(n)})
		h := Header{SrcPort: 1234, DstPort: 80, Seq: Seq(n), Flags: SYN, Window: 1000, Options: Options{MSS: 1460}}
		p := link.NewPacket(0)
		seal(&h, p, src, host.addr)
		host.handler.Input(ipv4.Header{Src: src, Dst: host.addr, Protocol: ipv4.ProtocolTCP}, p)
	}
}
