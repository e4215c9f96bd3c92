package link

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
)

// super returns an Ethernet frame with a super-segment: IPv4 and TCP, or UDP,
// headers in front of data.
func super(gso GSOType, size int, options int, flags byte, data []byte) *Packet {
	transport := tcpMinLen + options
	if gso == GSOUDP {
		transport = udpLen
	}
	b := make([]byte, EthernetHeaderLen+ipv4MinLen+transport+len(data))
	Ethernet{Dst: Addr{2, 1}, Src: Addr{2, 2}, Type: IPv4}.Put(b)
	h := b[EthernetHeaderLen:]
	h[0], h[8], h[9], h[6] = 0x45, 64, protoTCP, 0x40
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)))
	binary.BigEndian.PutUint16(h[4:], 0xffff)
	copy(h[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	t := h[ipv4MinLen:]
	field := 16
	if gso == GSOUDP {
		h[9], field = protoUDP, 6
		binary.BigEndian.PutUint16(t[4:], uint16(len(t)))
	} else {
		binary.BigEndian.PutUint32(t[4:], 0xffffff00)
		t[12], t[13] = byte(transport/4)<<4, flags
	}
	binary.BigEndian.PutUint16(t[field:], Sum(h[12:20], fold(uint32(h[9])+uint32(len(t)))))
	copy(t[transport:], data)
	p := withBody(b, len(b)-len(data), 1777)
	p.Pull(EthernetHeaderLen + ipv4MinLen)
	p.SetPartialChecksum(field)
	p.Push(EthernetHeaderLen + ipv4MinLen)
	p.GSO, p.GSOSize, p.In, p.Confirm = gso, size, 7, true
	return p
}

// wantSegments checks every segment by itself, and all of them against data.
func wantSegments(t *testing.T, segments Queue, gso GSOType, size, options int, flags byte, data []byte) {
	t.Helper()
	var got []byte
	n := segments.Len()
	require.Equal(t, max(1, (len(data)+size-1)/size), n)
	for i := range n {
		q := segments.Pop()
		require.False(t, q.HasBody())
		require.Equal(t, ChecksumUnknown, q.Checksum)
		require.Equal(t, GSONone, q.GSO)
		require.Equal(t, 7, q.In)
		require.Equal(t, i == 0, q.Confirm)
		b := q.Bytes()
		h := b[EthernetHeaderLen:]
		require.Equal(t, h, q.NetworkHeader())
		require.Equal(t, uint16(0xffff), Sum(h[:ipv4MinLen], 0), "header checksum")
		require.EqualValues(t, len(h), binary.BigEndian.Uint16(h[2:]))
		require.Equal(t, uint16(0xffff+i), binary.BigEndian.Uint16(h[4:]), "identification")
		x := h[ipv4MinLen:]
		require.Equal(t, x, q.TransportHeader())
		require.Equal(t, uint16(0xffff), Sum(x, Sum(h[12:20], fold(uint32(h[9])+uint32(len(x))))), "transport checksum")
		if gso == GSOUDP {
			require.EqualValues(t, len(x), binary.BigEndian.Uint16(x[4:]))
			got = append(got, x[udpLen:]...)
		} else {
			require.Equal(t, uint32(0xffffff00)+uint32(i*size), binary.BigEndian.Uint32(x[4:]), "sequence number")
			want := flags
			if i > 0 {
				want &^= tcpCWR
			}
			if i < n-1 {
				want &^= tcpFIN | tcpPSH
			}
			require.Equal(t, want, x[13], "flags of segment %d", i)
			got = append(got, x[tcpMinLen+options:]...)
		}
		q.Release()
	}
	require.Equal(t, string(data), string(got))
}

func TestSegment(t *testing.T) {
	for _, c := range []struct {
		name          string
		gso           GSOType
		size, options int
		flags         byte
		n             int
	}{
		{"whole segments", GSOTCP, 1448, 12, 0x10, 14480},
		{"a short one at the end", GSOTCP, 1448, 12, 0x19, 5000},
		{"odd sizes", GSOTCP, 1001, 0, 0x18, 60001},
		{"congestion window reduced", GSOTCP, 1460, 0, 0x98, 4000},
		{"one segment only", GSOTCP, 1460, 40, 0x18, 700},
		{"without data", GSOTCP, 1460, 0, 0x11, 0},
		{"datagrams", GSOUDP, 1472, 0, 0, 60000},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantNoPackets(t)
			data := numbers(c.n)
			segments, ok := Segment(super(c.gso, c.size, c.options, c.flags, data), EthernetHeaderLen)
			require.True(t, ok)
			wantSegments(t, segments, c.gso, c.size, c.options, c.flags, data)
		})
	}
}

func TestSegmentRefuses(t *testing.T) {
	for name, spoil := range map[string]func(p *Packet, h []byte){
		"size 0":               func(p *Packet, _ []byte) { p.GSOSize = 0 },
		"another protocol":     func(_ *Packet, h []byte) { h[9] = protoUDP },
		"IPv6":                 func(_ *Packet, h []byte) { h[0] = 0x65 },
		"header too short":     func(_ *Packet, h []byte) { h[0] = 0x44 },
		"length that is wrong": func(_ *Packet, h []byte) { h[3]++ },
		"a fragment":           func(_ *Packet, h []byte) { h[6] |= 0x20 },
		"data offset":          func(_ *Packet, h []byte) { h[ipv4MinLen+12] = 0xf0 },
	} {
		t.Run(name, func(t *testing.T) {
			wantNoPackets(t)
			p := super(GSOTCP, 1000, 0, 0x10, numbers(5000))
			spoil(p, p.Bytes()[EthernetHeaderLen:])
			_, ok := Segment(p, EthernetHeaderLen)
			require.False(t, ok)
			p.Release()
		})
	}
}

func TestPartialChecksum(t *testing.T) {
	wantNoPackets(t)
	for _, size := range []int{0, 1, 999, 3001} {
		p := super(GSOTCP, 1460, 0, 0x10, numbers(size))
		p.GSO = GSONone
		start, offset, ok := p.PartialChecksum()
		require.True(t, ok)
		require.Equal(t, []int{EthernetHeaderLen + ipv4MinLen, 16}, []int{start, offset})
		q := p.Copy()
		segments, ok := Segment(p, EthernetHeaderLen)
		require.True(t, ok)
		p = segments.Pop()
		q.CompleteChecksum()
		require.Equal(t, flat(p), flat(q), "marks survive a copy")
		h := p.Bytes()[EthernetHeaderLen:]
		x := h[ipv4MinLen:]
		require.Equal(t, uint16(0xffff), Sum(x, Sum(h[12:20], fold(uint32(h[9])+uint32(len(x))))))
		before := flat(q)
		q.CompleteChecksum()
		require.Equal(t, before, flat(q), "once is enough")
		p.Release()
		q.Release()
	}
}

func TestFeatures(t *testing.T) {
	wantNoPackets(t)
	p := super(GSOTCP, 1000, 0, 0x10, numbers(5000))
	defer p.Release()
	all := ScatterGather | ChecksumOffload | TCPSegmentation
	require.True(t, all.Take(p))
	for _, f := range []Features{ScatterGather, ChecksumOffload, TCPSegmentation} {
		require.False(t, (all &^ f).Take(p))
	}
	p.GSO = GSOUDP
	require.False(t, all.Take(p))
	plain := NewPacket(60)
	defer plain.Release()
	require.True(t, Features(0).Take(plain))
	plain.Checksum = ChecksumValid
	require.True(t, Features(0).Take(plain))
}

func TestSegmentLen(t *testing.T) {
	wantNoPackets(t)
	p := super(GSOTCP, 1448, 12, 0x10, numbers(5000))
	defer p.Release()
	p.Pull(EthernetHeaderLen)
	require.Equal(t, 1500, p.SegmentLen())
	p.GSOSize = 9000
	require.Equal(t, p.Len(), p.SegmentLen())
	p.GSO = GSONone
	require.Equal(t, p.Len(), p.SegmentLen())
}

// FuzzSegment checks that no input breaks Segment, and that what it makes is
// consistent.
func FuzzSegment(f *testing.F) {
	for _, gso := range []GSOType{GSOTCP, GSOUDP} {
		p := super(gso, 100, 4, 0x18, numbers(777))
		f.Add(flat(p), uint8(gso), uint16(100), uint16(60))
		p.Release()
	}
	f.Fuzz(func(t *testing.T, frame []byte, gso uint8, size, head uint16) {
		if len(frame) > 4096 {
			return
		}
		before := LivePackets()
		p := withBody(frame, min(int(head), len(frame)), 300)
		p.GSO, p.GSOSize = GSOType(gso%3), int(size)
		segments, ok := Segment(p, EthernetHeaderLen)
		if !ok {
			p.Release()
		}
		for q := segments.Pop(); q != nil; q = segments.Pop() {
			if q.HasBody() || q.GSO != GSONone || q.Checksum == ChecksumPartial {
				t.Error("not a plain packet")
			}
			q.Release()
		}
		if n := LivePackets() - before; n != 0 {
			t.Errorf("%d packets left", n)
		}
	})
}

func BenchmarkSegment(b *testing.B) {
	b.ReportAllocs()
	data := numbers(45 * 1448)
	b.SetBytes(int64(len(data)))
	p := super(GSOTCP, 1448, 12, 0x10, data)
	defer p.Release()
	for b.Loop() {
		segments, _ := Segment(p.Copy(), EthernetHeaderLen)
		segments.Release()
	}
}
