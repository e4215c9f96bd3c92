package udp

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
)

// pattern returns n bytes in which no two places look alike.
func pattern(n int) []byte {
	b := make([]byte, (n+3)&^3)
	for i := 0; i < n; i += 4 {
		binary.BigEndian.PutUint32(b[i:], uint32(i))
	}
	return b[:n]
}

// control returns one control message.
func control(level, kind int32, data []byte) []byte {
	w := controlWriter{b: make([]byte, 200)}
	w.put(level, kind, data)
	return w.b[:w.n]
}

func segmentOf(size int) []byte {
	return control(solUDP, udpSegment, binary.NativeEndian.AppendUint16(nil, uint16(size)))
}

func gro(size int) []byte {
	return control(solUDP, udpGRO, binary.NativeEndian.AppendUint32(nil, uint32(size)))
}

// What Linux 6.18 answers, by a path of 1500 bytes and by lo.
func TestSegmentSizes(t *testing.T) {
	for _, c := range []struct {
		n, size int
		lo, out syscall.Errno
	}{
		{3000, 1472, 0, 0},
		{3000, 1473, 0, syscall.EMSGSIZE},
		{1472, 1473, 0, 0}, // no need for segments
		{1473, 2000, 0, syscall.EMSGSIZE},
		{1000, 2000, 0, 0},
		{128, 1, 0, 0},
		{129, 1, syscall.EINVAL, syscall.EINVAL},
		{1000, 0, 0, 0},
		{MaxPayload, 1472, 0, 0},
		{MaxPayload + 1, 1472, syscall.EMSGSIZE, syscall.EMSGSIZE},
		{MaxPayload, 511, syscall.EINVAL, syscall.EINVAL},
		{MaxPayload, 512, 0, 0},
		{0, 100, 0, 0},
	} {
		t.Run(fmt.Sprintf("%d bytes by %d", c.n, c.size), func(t *testing.T) {
			a, b := newTestPair(t)
			data := pattern(c.n)
			try := func(client, server *Conn, want syscall.Errno) {
				n, oobn, err := client.WriteMsgUDPAddrPort(data, segmentOf(c.size), netip.AddrPort{})
				if want != 0 {
					wantErrno(t, want, err)
					require.Empty(t, unread(t, server))
					return
				}
				require.NoError(t, err)
				require.Equal(t, []int{c.n, len(segmentOf(0))}, []int{n, oobn})
				got := unread(t, server)
				require.Equal(t, string(data), strings.Join(got, ""))
				size := c.size
				if size == 0 {
					size = c.n
				}
				require.Len(t, got, max((c.n+max(size, 1)-1)/max(size, 1), 1))
				for i, d := range got {
					require.Equal(t, min(size, c.n-i*size), len(d), "datagram %d", i)
				}
			}
			big := SocketConfig{ReadBuffer: 1 << 20}
			try(a.dial("127.0.0.1:53"), a.listen("127.0.0.1:53", big), c.lo)
			try(a.dial("10.0.0.2:53"), b.listen("10.0.0.2:53", big), c.out)
			if c.out != 0 {
				require.Empty(t, a.sent)
				return
			}
			require.Len(t, a.sent, 1, "one packet goes down")
			want := 0
			if c.size > 0 && c.n > c.size {
				want = c.size
			}
			require.Equal(t, want, a.sent[0].gso)
			require.EqualValues(t, 1, a.stats.OutDatagrams.Load()-1, "one for each of the two calls")
		})
	}
}

func TestSegmentSizeOfSocket(t *testing.T) {
	a, b := newTestPair(t)
	server, client := b.listen("0.0.0.0:53"), a.dial("10.0.0.2:53")
	wantErrno(t, syscall.EINVAL, client.SetSegmentSize(-1))
	wantErrno(t, syscall.EINVAL, client.SetSegmentSize(65536))
	require.NoError(t, client.SetSegmentSize(65535))
	require.NoError(t, client.SetSegmentSize(4))
	write := func(oob []byte) []string {
		_, _, err := client.WriteMsgUDPAddrPort([]byte("0123456789"), oob, netip.AddrPort{})
		require.NoError(t, err)
		return unread(t, server)
	}
	require.Equal(t, []string{"0123", "4567", "89"}, write(nil))
	require.Equal(t, []string{"01234", "56789"}, write(segmentOf(5)), "the message's own size comes first")
	require.Equal(t, []string{"0123456789"}, write(segmentOf(0)), "a size of 0 too")
	require.NoError(t, client.SetSegmentSize(0))
	require.Equal(t, []string{"0123456789"}, write(nil))

	require.NoError(t, client.SetNoChecksum(true))
	require.Equal(t, []string{"0123456789"}, write(nil))
	require.Zero(t, a.sent[len(a.sent)-1].udp.Checksum)
	for _, size := range []int{4, 400} {
		_, _, err := client.WriteMsgUDPAddrPort([]byte("0123456789"), segmentOf(size), netip.AddrPort{})
		wantErrno(t, syscall.EINVAL, err)
	}
}

// Segments are never fragmented, whatever the socket says about longer datagrams.
func TestSegmentsAndPathMTU(t *testing.T) {
	a, b := newTestPair(t)
	b.listen("10.0.0.2:53")
	client := a.dial("10.0.0.2:53")
	last := func() sentPacket { return a.sent[len(a.sent)-1] }
	for _, m := range []PathMTU{Want, Do, Dont, Probe, InterfaceMTU, Omit} {
		require.NoError(t, client.SetPathMTU(m))
		_, _, err := client.WriteMsgUDPAddrPort(make([]byte, 3000), segmentOf(1473), netip.AddrPort{})
		wantErrno(t, syscall.EMSGSIZE, err)
	}
	a.ip.UpdatePathMTU(netip.MustParseAddr("10.0.0.2"), 1000)
	for _, c := range []struct {
		m  PathMTU
		ok bool
	}{{Want, false}, {Do, false}, {Dont, false}, {Probe, true}, {InterfaceMTU, true}, {Omit, true}} {
		require.NoError(t, client.SetPathMTU(c.m))
		_, _, err := client.WriteMsgUDPAddrPort(make([]byte, 3000), segmentOf(1472), netip.AddrPort{})
		require.Equal(t, c.ok, err == nil, "mode %d: %v", c.m, err)
	}
	require.NoError(t, client.SetPathMTU(Do))
	_, _, err := client.WriteMsgUDPAddrPort(make([]byte, 3000), segmentOf(972), netip.AddrPort{})
	require.NoError(t, err)
	id := last().h.ID
	_, err = client.Write([]byte("x"))
	require.NoError(t, err)
	require.Equal(t, id+4, last().h.ID, "each segment has an identification")
	require.NoError(t, client.SetPathMTU(Dont))
	_, _, err = client.WriteMsgUDPAddrPort(make([]byte, 3000), segmentOf(972), netip.AddrPort{})
	require.NoError(t, err)
	require.False(t, last().h.DF)
}

func TestCoalescing(t *testing.T) {
	type write struct {
		data string
		size int
	}
	type read struct {
		data string
		size int
	}
	for _, c := range []struct {
		name   string
		writes []write
		reads  []read
	}{
		{"what came as one", []write{{"aaabbbc", 3}}, []read{{"aaabbbc", 3}}},
		{"one is no run", []write{{"aaa", 3}}, []read{{"aaa", 0}}},
		{"same sizes", []write{{"aaa", 0}, {"bbb", 0}, {"ccc", 0}}, []read{{"aaabbbccc", 3}}},
		{"a shorter one is the last", []write{{"aaa", 0}, {"bb", 0}, {"c", 0}}, []read{{"aaabb", 3}, {"c", 0}}},
		{"a longer one begins anew", []write{{"aa", 0}, {"bbb", 0}, {"ccc", 0}}, []read{{"aa", 0}, {"bbbccc", 3}}},
		{"nothing joins an empty one", []write{{"", 0}, {"", 0}, {"a", 0}, {"", 0}}, []read{{"", 0}, {"", 0}, {"a", 0}, {"", 0}}},
		{"runs of one size", []write{{"aabb", 2}, {"cc", 0}, {"ddee", 2}, {"f", 0}, {"g", 0}}, []read{{"aabbccddeef", 2}, {"g", 0}}},
		{"runs of other sizes", []write{{"aabb", 2}, {"cccddd", 3}}, []read{{"aabb", 2}, {"cccddd", 3}}},
		{"a run with a shorter end", []write{{"aab", 2}, {"cc", 0}}, []read{{"aab", 2}, {"cc", 0}}},
		{"shorter ones do not join as a run", []write{{"aaaa", 0}, {"bbcc", 2}}, []read{{"aaaa", 0}, {"bbcc", 2}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := newTestPair(t)
			server, client := b.listen("0.0.0.0:53"), a.dial("10.0.0.2:53")
			require.NoError(t, server.SetCoalescing(true))
			for _, w := range c.writes {
				_, _, err := client.WriteMsgUDPAddrPort([]byte(w.data), segmentOf(w.size), netip.AddrPort{})
				require.NoError(t, err)
			}
			var got []read
			buf, oob := make([]byte, 100), make([]byte, 100)
			for range c.reads {
				n, oobn, flags, from, err := server.ReadMsgUDPAddrPort(buf, oob)
				require.NoError(t, err)
				require.Zero(t, flags)
				require.Equal(t, client.LocalAddrPort(), from)
				r := read{data: string(buf[:n])}
				if oobn > 0 {
					require.Equal(t, gro(int(binary.NativeEndian.Uint32(oob[controlLen:]))), oob[:oobn])
					r.size = int(binary.NativeEndian.Uint32(oob[controlLen:]))
				}
				got = append(got, r)
			}
			require.Equal(t, c.reads, got)
			require.Empty(t, unread(t, server))
		})
	}
}

func TestCoalescingLimits(t *testing.T) {
	a, b := newTestPair(t)
	server := b.listen("0.0.0.0:53", SocketConfig{ReadBuffer: 1 << 20})
	client, other := a.dial("10.0.0.2:53"), a.dial("10.0.0.2:53")
	buf, oob := make([]byte, 65535), make([]byte, 100)
	read := func(b, oob []byte) (n, size int) {
		t.Helper()
		n, oobn, flags, _, err := server.ReadMsgUDPAddrPort(b, oob)
		require.NoError(t, err)
		require.Zero(t, flags&MsgTrunc)
		if oobn > controlLen {
			size = int(binary.NativeEndian.Uint32(oob[controlLen:]))
		}
		return n, size
	}
	write := func(c *Conn, n int, o SendOptions) {
		t.Helper()
		_, err := c.Send(make([]byte, n), netip.AddrPort{}, o)
		require.NoError(t, err)
	}
	check := func(c string, buf, oob []byte, want ...int) {
		t.Helper()
		for _, n := range want {
			got, _ := read(buf, oob)
			require.Equal(t, n, got, c)
		}
		require.Empty(t, unread(t, server))
	}
	for range 3 {
		write(client, 10, SendOptions{})
	}
	check("not asked for", buf, oob, 10, 10, 10)
	require.NoError(t, server.SetCoalescing(true))
	for range 3 {
		write(client, 10, SendOptions{})
	}
	check("no room to tell", buf, nil, 10, 10, 10)
	for range 3 {
		write(client, 10, SendOptions{})
	}
	check("no room for the third", buf[:29], oob, 20, 10)
	write(client, 10, SendOptions{})
	write(other, 10, SendOptions{})
	check("other senders", buf, oob, 10, 10)
	write(client, 10, SendOptions{})
	write(client, 10, SendOptions{TTL: 9})
	write(client, 10, SendOptions{TTL: 9, tos: 1, tosGiven: true})
	check("other TTL and TOS", buf, oob, 10, 10, 10)
	for range 100 {
		write(client, 10, SendOptions{})
	}
	check("64 at most", buf, oob, 640, 360)
	write(client, 100, SendOptions{SegmentSize: 1})
	write(client, 1, SendOptions{})
	check("what was sent as one may be more", buf, oob, 100, 1)
	for range 60 {
		write(client, 1400, SendOptions{})
	}
	check("64 KiB at most", buf, oob, 46*1400, 14*1400)

	write(client, 25, SendOptions{SegmentSize: 10})
	n, _, flags, _, err := server.ReadMsgUDPAddrPort(buf[:15], oob)
	require.NoError(t, err)
	require.Equal(t, []int{15, MsgTrunc}, []int{n, flags}, "what is one already is cut off, as Linux does")
	write(client, 25, SendOptions{SegmentSize: 10})
	n, err = server.Read(buf)
	require.NoError(t, err)
	require.Equal(t, 25, n, "and read without telling where there is no room to")
}

// A super-segment to a group is for each member to take as it likes.
func TestSegmentsToMany(t *testing.T) {
	h := newTestHost(t, "2")
	one, all := h.listen("0.0.0.0:9", SocketConfig{ReuseAddr: true}), h.listen("0.0.0.0:9", SocketConfig{ReuseAddr: true})
	require.NoError(t, all.SetCoalescing(true))
	c := h.listen("0.0.0.0:0", SocketConfig{Broadcast: true})
	_, err := c.Send([]byte("aabbc"), ap("10.0.0.255:9"), SendOptions{SegmentSize: 2})
	require.NoError(t, err)
	require.Equal(t, []string{"aa", "bb", "c"}, unread(t, one))
	require.Equal(t, []string{"aabbc"}, unread(t, all))
}

// A device hands over super-segments with a body, as link/tap's.
func TestSegmentsWithBody(t *testing.T) {
	_, b := newTestPair(t)
	server := b.listen("10.0.0.2:53")
	data := pattern(5000)
	deliver := func(gso link.GSOType, size int) {
		p := link.NewPacket(ipv4.HeaderLen + HeaderLen)
		ipv4.Header{TotalLen: p.Len() + len(data), TTL: 9, Protocol: ipv4.ProtocolUDP,
			Src: netip.MustParseAddr("10.0.0.1"), Dst: netip.MustParseAddr("10.0.0.2")}.Put(p.Bytes())
		Header{SrcPort: 9, DstPort: 53, Length: HeaderLen + len(data)}.Put(p.Bytes()[ipv4.HeaderLen:])
		chunk := link.NewChunk(len(data))
		p.Append(chunk, chunk.Bytes()[:copy(chunk.Bytes(), data)])
		p.GSO, p.GSOSize = gso, size
		b.ip.Input(b.t0, p)
	}
	deliver(link.GSOUDP, 1000)
	got := unread(t, server)
	require.Len(t, got, 5)
	require.Equal(t, string(data), strings.Join(got, ""))
	require.NoError(t, server.SetCoalescing(true))
	deliver(link.GSOUDP, 1000)
	buf, oob := make([]byte, 5000), make([]byte, 100)
	n, oobn, _, _, err := server.ReadMsgUDPAddrPort(buf, oob)
	require.NoError(t, err)
	require.True(t, bytes.Equal(data, buf[:n]))
	require.Equal(t, gro(1000), oob[:oobn])

	for _, size := range []int{0, -1} {
		deliver(link.GSOUDP, size)
	}
	deliver(link.GSOTCP, 1000)
	require.Empty(t, unread(t, server), "headers that make no sense")
	require.EqualValues(t, 3, b.drops.Count(link.UDPInHdr))
}

func TestSegmentsDoNotAllocate(t *testing.T) {
	h := newTestHost(t, "2")
	server, client := h.listen("127.0.0.1:9"), h.dial("127.0.0.1:9")
	require.NoError(t, server.SetCoalescing(true))
	require.NoError(t, server.SetPacketInfo(true))
	data, oob := make([]byte, 60000), segmentOf(1400)
	buf, control := make([]byte, 65535), make([]byte, 200)
	linktest.WantNoAllocs(t, func() {
		if _, _, err := client.WriteMsgUDPAddrPort(data, oob, netip.AddrPort{}); err != nil {
			t.Error(err)
		}
		n, oobn, _, _, err := server.ReadMsgUDPAddrPort(buf, control)
		if err != nil || n != len(data) || oobn == 0 {
			t.Error(n, oobn, err)
		}
	})
}

func BenchmarkSegments(b *testing.B) {
	h := newTestHost(b, "2")
	server, client := h.listen("127.0.0.1:9"), h.dial("127.0.0.1:9")
	data, buf, oob := make([]byte, 44*1472), make([]byte, 65535), make([]byte, 100)
	for _, c := range []struct {
		name     string
		coalesce bool
	}{{"split", false}, {"coalesced", true}} {
		b.Run(c.name, func(b *testing.B) {
			if err := server.SetCoalescing(c.coalesce); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := client.Send(data, netip.AddrPort{}, SendOptions{SegmentSize: 1472}); err != nil {
					b.Fatal(err)
				}
				for got := 0; got < len(data); {
					n, _, _, _, err := server.ReadMsgUDPAddrPort(buf, oob)
					if err != nil {
						b.Fatal(err)
					}
					got += n
				}
			}
		})
	}
}
