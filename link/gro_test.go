package link

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// tcpFrame is what a test says of a frame; the rest is right.
type tcpFrame struct {
	seq     uint32
	data    string
	id      uint16
	flags   byte            // 0: ACK
	options []byte          // of TCP, in multiples of four
	change  func(b []byte)  // before the checksums
	spoil   func(b []byte)  // behind them
	mark    func(p *Packet) // what a device says of it
	pad     int             // bytes behind
	port    uint16          // of the sender; 0: 1000
	addrs   *[2][4]byte     // source and destination
	vlan    bool            // a priority tag in front of the type
}

func (f tcpFrame) bytes() []byte {
	n := tcpMinLen + len(f.options)
	b := make([]byte, groTCP+n+len(f.data))
	Ethernet{Dst: Addr{2, 1}, Src: Addr{2, 2}, Type: IPv4}.Put(b)
	ip := b[groIP:]
	ip[0], ip[8], ip[9], ip[6] = 0x45, 64, protoTCP, ipDF>>8
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	binary.BigEndian.PutUint16(ip[4:], f.id)
	copy(ip[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	if f.addrs != nil {
		copy(ip[12:], f.addrs[0][:])
		copy(ip[16:], f.addrs[1][:])
	}
	t := ip[ipv4MinLen:]
	binary.BigEndian.PutUint16(t[0:], 1000+f.port)
	binary.BigEndian.PutUint16(t[2:], 80)
	binary.BigEndian.PutUint32(t[4:], f.seq)
	binary.BigEndian.PutUint32(t[8:], 77)
	t[12], t[13] = byte(n/4)<<4, tcpACK
	if f.flags != 0 {
		t[13] = f.flags
	}
	binary.BigEndian.PutUint16(t[14:], 5000)
	copy(t[tcpMinLen:], f.options)
	copy(t[n:], f.data)
	if f.change != nil {
		f.change(b)
	}
	binary.BigEndian.PutUint16(ip[10:], ^Sum(ip[:ipv4MinLen], 0))
	binary.BigEndian.PutUint16(t[16:], ^Sum(t, Sum(ip[12:20], protoTCP+uint16(len(t)))))
	if f.spoil != nil {
		f.spoil(b)
	}
	if f.vlan {
		b = slices.Insert(b, 12, 0x81, 0, 0, 0)
	}
	return append(b, make([]byte, f.pad)...)
}

func (f tcpFrame) packet() *Packet {
	p := NewPacketFrom(f.bytes())
	if f.mark != nil {
		f.mark(p)
	}
	return p
}

// text describes a delivered packet in words.
func text(p *Packet) string {
	if p.GSO == GSONone {
		return fmt.Sprintf("%d", len(p.Bytes()))
	}
	return fmt.Sprintf("%d/%d", p.Len()-groTCP-int(p.Bytes()[groTCP+tcpOff]>>4)*4, p.GSOSize)
}

func TestGRO(t *testing.T) {
	data := func(n int) string { return string(numbers(n)) }
	// next is the second frame behind {seq: 1, id: 10, data: 100 bytes}.
	next := func(change func(f *tcpFrame)) []tcpFrame {
		f := tcpFrame{seq: 101, id: 11, data: data(100)}
		change(&f)
		return []tcpFrame{{seq: 1, id: 10, data: data(100)}, f}
	}
	ipByte := func(at int, x byte) func(f *tcpFrame) {
		return func(f *tcpFrame) { f.change = func(b []byte) { b[groIP+at] = x } }
	}
	tcpByte := func(at int, x byte) func(f *tcpFrame) {
		return func(f *tcpFrame) { f.change = func(b []byte) { b[groTCP+at] = x } }
	}
	stamps := func(x byte) []byte { return []byte{1, 1, 8, 10, 0, 0, 0, x, 0, 0, 0, 9} }
	apart := "154 154" // two frames as they were
	for _, c := range []struct {
		name string
		in   []tcpFrame
		want string // payload/size of super-segments, length of frames
	}{
		{"tcp_gro_receive: what follows is put to it", next(func(*tcpFrame) {}), "200/100"},
		{"the sequence number wraps", []tcpFrame{{seq: 0xffffffce, id: 0xffff, data: data(100)}, {seq: 50, data: data(100)}}, "200/100"},
		{"one alone is a plain frame", next(func(*tcpFrame) {})[:1], "154"},
		{"a shorter one is the last", append(next(func(f *tcpFrame) { f.data = data(99) }), tcpFrame{seq: 200, id: 12, data: data(99)}), "199/100 153"},
		{"a longer one is not", next(func(f *tcpFrame) { f.data = data(101) }), "154 155"},
		{"a gap", next(func(f *tcpFrame) { f.seq++ }), apart},
		{"a retransmission", next(func(f *tcpFrame) { f.seq = 1 }), apart},
		{"a pure ACK ends it", next(func(f *tcpFrame) { f.data = "" }), "154 54"},
		{"PSH ends it", append(next(func(f *tcpFrame) { f.flags = tcpACK | tcpPSH }), tcpFrame{seq: 201, id: 12, data: data(100)}), "200/100 154"},
		{"PSH does not wait", []tcpFrame{{seq: 1, data: data(9), flags: tcpACK | tcpPSH}, {seq: 10, id: 1, data: data(9)}}, "63 63"},
		{"FIN", next(func(f *tcpFrame) { f.flags = tcpACK | tcpFIN }), apart},
		{"SYN", next(func(f *tcpFrame) { f.flags = tcpACK | 2 }), apart},
		{"RST", next(func(f *tcpFrame) { f.flags = tcpACK | 4 }), apart},
		{"URG", next(func(f *tcpFrame) { f.flags = tcpACK | 0x20 }), apart},
		{"no ACK", next(func(f *tcpFrame) { f.flags = tcpPSH }), apart},
		{"ECE", next(func(f *tcpFrame) { f.flags = tcpACK | 0x40 }), apart},
		{"CWR, RFC 3168 section 6.1.2: it says where", next(func(f *tcpFrame) { f.flags = tcpACK | tcpCWR }), apart},
		{"another ACK number", next(tcpByte(11, 78)), apart},
		{"another window", next(tcpByte(14, 1)), apart},
		{"another urgent pointer", next(tcpByte(18, 1)), apart},
		{"a reserved bit", next(tcpByte(12, 0x51)), apart},
		{"timestamps, the same", []tcpFrame{{seq: 1, data: data(100), options: stamps(1)}, {seq: 101, id: 1, data: data(100), options: stamps(1)}}, "200/100"},
		{"timestamps, RFC 7323: each has a meaning", []tcpFrame{{seq: 1, data: data(100), options: stamps(1)}, {seq: 101, id: 1, data: data(100), options: stamps(2)}}, "166 166"},
		{"options and none", next(func(f *tcpFrame) { f.options = stamps(1) }), "154 166"},
		{"another TOS", next(ipByte(1, 4)), apart},
		{"congestion experienced, RFC 3168", next(ipByte(1, 3)), apart},
		{"another TTL", next(ipByte(8, 63)), apart},
		{"DF and not", next(ipByte(6, 0)), apart},
		{"a fragment", next(ipByte(6, 0x20)), apart},
		{"a fragment's end", next(ipByte(7, 1)), apart},
		{"the reserved bit", next(ipByte(6, 0xc0)), apart},
		{"IP options", next(ipByte(0, 0x46)), apart},
		{"another protocol passes at once", next(ipByte(9, protoUDP)), apart},
		{"inet_gro_receive: the same identification, with DF", next(func(f *tcpFrame) { f.id = 10 }), "200/100"},
		{"the same identification without DF, RFC 6864 section 4.1",
			[]tcpFrame{{seq: 1, data: data(100), change: func(b []byte) { b[groIP+6] = 0 }}, {seq: 101, data: data(100), change: func(b []byte) { b[groIP+6] = 0 }}}, apart},
		{"identifications without DF",
			[]tcpFrame{{seq: 1, data: data(100), change: func(b []byte) { b[groIP+6] = 0 }}, {seq: 101, id: 1, data: data(100), change: func(b []byte) { b[groIP+6] = 0 }}}, "200/100"},
		{"an identification is left out", next(func(f *tcpFrame) { f.id = 12 }), apart},
		{"first the next identification, then the same", append(next(func(*tcpFrame) {}), tcpFrame{seq: 201, id: 11, data: data(100)}), "200/100 154"},
		{"first the same, then the next", append(next(func(f *tcpFrame) { f.id = 10 }), tcpFrame{seq: 201, id: 11, data: data(100)}), "200/100 154"},
		{"another station's", next(func(f *tcpFrame) { f.change = func(b []byte) { b[11] = 9 } }), apart},
		{"a priority tag", next(func(f *tcpFrame) { f.vlan = true }), "154 158"},
		{"a wrong header checksum", next(func(f *tcpFrame) { f.spoil = func(b []byte) { b[groIP+10] ^= 1 } }), apart},
		{"a wrong checksum", next(func(f *tcpFrame) { f.spoil = func(b []byte) { b[99] ^= 1 } }), apart},
		{"the device has verified it", next(func(f *tcpFrame) { f.mark = func(p *Packet) { p.Checksum = ChecksumValid } }), "200/100"},
		{"the other zero", next(func(f *tcpFrame) {
			// The sum of all but these two bytes makes the checksum zero.
			f.change = func(b []byte) {
				tcp := b[groTCP:]
				x := ^Sum(tcp, Sum(b[groIP+12:groIP+20], protoTCP+uint16(len(tcp))))
				k := len(tcp) - 2
				s := Sum([]byte{tcp[k], tcp[k+1]}, x)
				binary.BigEndian.PutUint16(tcp[k:], s)
			}
		}), apart},
		{"a trailer", next(func(f *tcpFrame) { f.pad = 6 }), "154 160"},
		{"a short length", next(func(f *tcpFrame) { f.change = func(b []byte) { b[groIP+3]-- } }), apart},
		{"a partial checksum", next(func(f *tcpFrame) {
			f.mark = func(p *Packet) {
				p.Pull(groTCP)
				p.SetPartialChecksum(tcpCsum)
				p.Push(groTCP)
			}
		}), apart},
		{"another flow's passes by", []tcpFrame{{seq: 1, data: data(100)}, {seq: 1, data: data(9), flags: tcpACK | tcpPSH, port: 1}, {seq: 101, id: 1, data: data(100)}}, "63 200/100"},
		{"two flows", []tcpFrame{{seq: 1, data: data(100)}, {seq: 1, data: data(50), port: 1}, {seq: 101, id: 1, data: data(100)}, {seq: 51, id: 1, data: data(50), port: 1}}, "200/100 100/50"},
		{"addresses the other way round", next(func(f *tcpFrame) { f.addrs = &[2][4]byte{{10, 0, 0, 2}, {10, 0, 0, 1}} }), apart},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantNoPackets(t)
			got, sent := "", [][]byte{}
			var back Queue
			g := GRO{Deliver: func(p *Packet) {
				got += text(p) + " "
				back.Queue(p)
			}}
			for _, f := range c.in {
				g.Input(f.packet())
				sent = append(sent, f.bytes())
			}
			g.Flush()
			require.False(t, g.Flush(), "nothing is left")
			require.Equal(t, c.want+" ", got)
			wantBack(t, &back, sent)
		})
	}
}

// wantBack checks that the delivered packets are, segmented, the frames that came
// in: all of them, and those of a flow in order.
func wantBack(t *testing.T, delivered *Queue, sent [][]byte) {
	t.Helper()
	var got [][]byte
	for p := delivered.Pop(); p != nil; p = delivered.Pop() {
		if p.GSO == GSONone {
			got = append(got, flat(p))
			p.Release()
			continue
		}
		require.Equal(t, ChecksumPartial, p.Checksum)
		segments, ok := Segment(p, EthernetHeaderLen)
		require.True(t, ok)
		for q := segments.Pop(); q != nil; q = segments.Pop() {
			got = append(got, flat(q))
			q.Release()
		}
	}
	byFlow := func(frames [][]byte) map[string][][]byte {
		m := map[string][][]byte{}
		for _, b := range frames {
			k := ""
			if len(b) >= groTCP+4 {
				k = string(b[groIP+ipProto]) + string(b[groIP+ipSrc:groTCP+4])
			}
			m[k] = append(m[k], b)
		}
		return m
	}
	require.Equal(t, byFlow(sent), byFlow(got))
}

func TestGROSizes(t *testing.T) {
	for _, c := range []struct {
		name    string
		size, n int
		want    []string
	}{
		{"an IPv4 packet is at most 65535 bytes long", 1448, 100, []string{"65160/1448", "65160/1448", "14480/1448"}},
		{"small ones", 1, 5, []string{"5/1"}},
		{"of a large MTU", 32000, 3, []string{"64000/32000", "32054"}},
		{"as long as can be", 65495, 2, []string{"65549", "65549"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			wantNoPackets(t)
			var got []string
			var sent [][]byte
			var back Queue
			g := GRO{Deliver: func(p *Packet) {
				got = append(got, text(p))
				back.Queue(p)
			}}
			for i := range c.n {
				f := tcpFrame{seq: uint32(i * c.size), id: uint16(i), data: string(numbers(c.size))}
				g.Input(f.packet())
				sent = append(sent, f.bytes())
			}
			g.Flush()
			require.Equal(t, c.want, got)
			wantBack(t, &back, sent)
		})
	}
}

// With more flows than are held, the oldest goes on.
func TestGROFlows(t *testing.T) {
	wantNoPackets(t)
	var got []uint16
	g := GRO{Deliver: func(p *Packet) {
		got = append(got, binary.BigEndian.Uint16(p.Bytes()[groTCP:])-1000)
		p.Release()
	}}
	for i := range uint16(maxHeld + 2) {
		g.Input(tcpFrame{data: "x", port: i}.packet())
	}
	require.Equal(t, []uint16{0, 1}, got)
	g.Input(tcpFrame{seq: 1, id: 1, data: "x", port: 5}.packet())
	require.Len(t, got, 2, "it is held still")
	require.True(t, g.Flush())
	require.Len(t, got, maxHeld+2, "in the order of their first segments")
	require.True(t, slices.IsSorted(got))
}

func TestGROOfOtherFrames(t *testing.T) {
	wantNoPackets(t)
	var back Queue
	g := GRO{Deliver: back.Queue}
	for _, n := range []int{0, 1, 13, 14, 33, 34, 53, 54} {
		g.Input(NewPacketFrom(make([]byte, n)))
		g.Input(NewPacketFrom(tcpFrame{}.bytes()[:n]))
	}
	require.Equal(t, 16, back.Len())
	back.Release()
	// A super-segment of the device's passes, behind what is held of its flow.
	g.Input(tcpFrame{data: "abc"}.packet())
	p := super(GSOTCP, 100, 0, tcpACK, numbers(500))
	copy(p.Bytes()[groTCP:], tcpFrame{}.bytes()[groTCP:groTCP+4])
	g.Input(p)
	require.Equal(t, 2, back.Len())
	require.Equal(t, p, back.Newest())
	back.Release()
}

func TestGRODoesNotAllocate(t *testing.T) {
	wantNoPackets(t)
	frames := train(44, 1448)
	g := GRO{Deliver: (*Packet).Release}
	wantNoAllocs(t, func() {
		for _, b := range frames {
			g.Input(NewPacketFrom(b))
		}
		g.Flush()
	})
}

// FuzzGRO checks that what GRO makes of any frames, segmented, is these frames.
func FuzzGRO(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 0}, uint8(3))
	f.Add([]byte{0, 0, 0, 0, 16, 8, 0, 0, 0, 3, 1, 7}, uint8(100))
	f.Fuzz(func(t *testing.T, changes []byte, size uint8) {
		before := LivePackets()
		var back Queue
		g := GRO{Deliver: back.Queue}
		var sent [][]byte
		// Three bytes of input are a frame: which flow, what is changed.
		seq, id := [2]uint32{}, [2]uint16{}
		for i := 0; i+3 <= len(changes) && i < 300; i += 3 {
			how, at, x := changes[i], int(changes[i+1]), changes[i+2]
			k := int(how & 1)
			n := int(size) + 1
			if how&2 != 0 {
				n = int(x)
			}
			fr := tcpFrame{seq: seq[k], id: id[k], data: string(numbers(n)), port: uint16(k)}
			change := func(b []byte) {
				if at < len(b) {
					b[at] ^= x
				}
			}
			switch how >> 2 & 3 {
			case 1:
				fr.change = change
			case 2:
				fr.spoil = change
			case 3:
				fr.flags = x
			}
			if how&16 == 0 {
				id[k]++
			}
			if how&32 != 0 {
				fr.options = []byte{1, 1, 1, x & 1}
			}
			seq[k] += uint32(n)
			b := fr.bytes()
			sent = append(sent, b)
			g.Input(NewPacketFrom(b))
			if how&64 != 0 && x == 0 {
				g.Flush()
			}
		}
		g.Flush()
		wantBack(t, &back, sent)
		if n := LivePackets() - before; n != 0 {
			t.Errorf("%d packets left", n)
		}
	})
}

// train returns n consecutive frames.
func train(n, size int) (frames [][]byte) {
	options := []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 9}
	for i := range n {
		frames = append(frames, tcpFrame{seq: uint32(i * size), id: uint16(i), data: string(numbers(size)), options: options}.bytes())
	}
	return frames
}

func BenchmarkGRO(b *testing.B) {
	for _, c := range []struct {
		name string
		n    int
	}{{"44Segments", 44}, {"4Segments", 4}, {"1Segment", 1}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			frames := train(c.n, 1448)
			b.SetBytes(int64(c.n * 1448))
			g := GRO{Deliver: (*Packet).Release}
			for b.Loop() {
				for _, f := range frames {
					g.Input(NewPacketFrom(f))
				}
				g.Flush()
			}
		})
	}
}
