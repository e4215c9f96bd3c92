package icmp

import (
	"bytes"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
)

func TestEchoReply(t *testing.T) {
	h := newTestHost(t)
	h.input(messageOf(Header{Type: TypeEcho}, nil)) // a reply of nothing but zeros
	require.EqualValues(t, 0xffff, h.sent[0].Checksum)
	for _, size := range []int{0, 1, 8, 56, 1400, 5000} {
		h.sent = nil
		data := bytes.Repeat([]byte("q"), size)
		h.input(messageOf(Header{Type: TypeEcho, Info: 77<<16 | 3}, data), func(ih *ipv4.Header) { ih.TOS, ih.TTL = 0x10, 3 })
		if size == 5000 {
			require.Len(t, h.sent, 4, "in fragments")
			continue
		}
		require.Len(t, h.sent, 1)
		m := h.sent[0]
		require.Equal(t, Header{Type: TypeEchoReply, Checksum: m.Checksum, Info: 77<<16 | 3}, m.Header)
		require.Equal(t, data, append([]byte{}, m.data...))
		require.Equal(t, addr("10.0.0.2"), m.ip.Src)
		require.Equal(t, addr("10.0.0.9"), m.ip.Dst)
		require.EqualValues(t, 64, m.ip.TTL)
		require.EqualValues(t, 0x10, m.ip.TOS)
	}
	require.Empty(t, h.drops.Counts())
	require.EqualValues(t, 7, h.stats.InType[TypeEcho].Load())
	require.EqualValues(t, 7, h.stats.OutType[TypeEchoReply].Load())

	t.Run("the way back is routed", func(t *testing.T) {
		h.sent = nil
		h.ip.Input(h.t0, packet("10.0.1.9", "10.0.0.2", ipv4.ProtocolICMP, messageOf(Header{Type: TypeEcho}, nil)))
		require.Equal(t, 3, h.sent[0].iface)
		require.Equal(t, addr("10.0.0.2"), h.sent[0].ip.Src, "from the address that was asked")
	})
	t.Run("unicast in a broadcast frame is answered", func(t *testing.T) {
		h.sent = nil
		p := packet("10.0.0.9", "10.0.0.2", ipv4.ProtocolICMP, messageOf(Header{Type: TypeEcho}, nil))
		p.Type = link.Broadcast
		h.ip.Input(h.t0, p)
		require.Len(t, h.sent, 1)
	})
	t.Run("record route comes back", func(t *testing.T) {
		h.sent = nil
		h.input(messageOf(Header{Type: TypeEcho}, nil), func(ih *ipv4.Header) {
			ih.Options = []byte{7, 15, 8, 10, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		})
		require.Equal(t, []byte{7, 15, 16, 10, 0, 0, 9, 10, 0, 0, 2, 10, 0, 0, 2, 0}, h.sent[0].ip.Options, "once where it arrived, once where it left, as ping -R shows")
	})
}

func TestEchoIgnored(t *testing.T) {
	h := newTestHost(t)
	echo := messageOf(Header{Type: TypeEcho}, []byte("x"))
	for _, dst := range []string{"10.0.0.255", "255.255.255.255", "224.0.0.1"} {
		h.wantDrop(link.ICMPIgnored, func() { h.input(echo, func(ih *ipv4.Header) { ih.Dst = addr(dst) }) })
	}
	require.Empty(t, h.sent)
	require.NoError(t, h.SetSysctl("icmp_echo_ignore_broadcasts", 0))
	for n, dst := range []string{"10.0.0.255", "255.255.255.255", "224.0.0.1"} {
		h.input(echo, func(ih *ipv4.Header) { ih.Dst = addr(dst) })
		require.Len(t, h.sent, n+1)
		require.Equal(t, addr("10.0.0.2"), h.sent[n].ip.Src, "RFC 1122 section 3.2.2.6")
	}
	require.NoError(t, h.SetSysctl("icmp_echo_ignore_all", 1))
	h.wantDrop(link.ICMPIgnored, func() { h.input(echo) })
}

func TestTimestampReply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the bubble starts at midnight
		h := newTestHost(t)
		time.Sleep(3 * time.Hour)
		h.input(messageOf(Header{Type: TypeTimestamp, Info: 5<<16 | 6}, []byte{1, 2, 3, 4, 9, 9, 9, 9, 9, 9, 9, 9}))
		require.Len(t, h.sent, 1)
		require.EqualValues(t, TypeTimestampReply, h.sent[0].Type)
		ms := []byte{0x00, 0xa4, 0xcb, 0x80} // 3 h in milliseconds
		require.Equal(t, append(append([]byte{1, 2, 3, 4}, ms...), ms...), h.sent[0].data)
		h.wantDrop(link.ICMPInHdr, func() { h.input(messageOf(Header{Type: TypeTimestamp}, []byte{1, 2, 3})) })
	})
}

func TestInputDrops(t *testing.T) {
	h := newTestHost(t)
	bad := messageOf(Header{Type: TypeEcho}, []byte("data"))
	bad[9] ^= 1
	quote := packet("10.0.0.2", "10.0.0.9", 17, make([]byte, 8))
	inner := append([]byte(nil), quote.Bytes()...)
	quote.Release()
	foreign := packet("10.0.0.77", "10.0.0.9", 17, make([]byte, 8))
	notOurs := append([]byte(nil), foreign.Bytes()...)
	foreign.Release()
	for _, tc := range []struct {
		name string
		m    []byte
		dst  string
		want link.DropReason
		errs uint64
	}{
		{"7 bytes", bad[:7], "", link.ICMPInHdr, 1},
		{"checksum", bad, "", link.ICMPCsum, 1},
		{"unknown type", messageOf(Header{Type: 99}, nil), "", link.ICMPIgnored, 1},
		{"source quench (RFC 6633)", messageOf(Header{Type: TypeSourceQuench}, inner), "", link.ICMPIgnored, 0},
		{"router advertisement", messageOf(Header{Type: 9}, inner), "", link.ICMPIgnored, 0},
		{"address mask request", messageOf(Header{Type: 17}, inner), "", link.ICMPIgnored, 0},
		{"reply to nobody", messageOf(Header{Type: TypeEchoReply}, nil), "", link.NoSocket, 0},
		{"error to a group", messageOf(Header{Type: TypeUnreachable}, inner), "224.0.0.1", link.ICMPIgnored, 1},
		{"error without a quote", messageOf(Header{Type: TypeUnreachable}, nil), "", link.ICMPInHdr, 1},
		{"error quoting 7 bytes of data", messageOf(Header{Type: TypeUnreachable}, inner[:27]), "", link.ICMPInHdr, 1},
		{"error with unknown code", messageOf(Header{Type: TypeUnreachable, Code: 16}, inner), "", link.ICMPIgnored, 0},
		{"error about what we did not send", messageOf(Header{Type: TypeUnreachable}, notOurs), "", link.ICMPIgnored, 0},
		{"reassembly time exceeded", messageOf(Header{Type: TypeTimeExceeded, Code: 1}, inner), "", link.ICMPIgnored, 0},
		{"redirect without a quote", messageOf(Header{Type: TypeRedirect}, nil), "", link.ICMPInHdr, 1},
		{"redirect that is not believed", messageOf(Header{Type: TypeRedirect, Code: 1, Info: 0x0a000007}, inner), "", link.ICMPIgnored, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			errs := h.stats.InErrors.Load()
			h.wantDrop(tc.want, func() {
				h.input(tc.m, func(ih *ipv4.Header) {
					if tc.dst != "" {
						ih.Dst = addr(tc.dst)
					}
				})
			})
			require.Equal(t, errs+tc.errs, h.stats.InErrors.Load())
			require.Empty(t, h.sent)
		})
	}
}

func TestEchoReplyDoesNotAllocate(t *testing.T) {
	h := newTestHost(t)
	h.answer = (*link.Packet).Release
	p := packet("10.0.0.9", "10.0.0.2", ipv4.ProtocolICMP, messageOf(Header{Type: TypeEcho}, make([]byte, 56)))
	frame := append([]byte(nil), p.Bytes()...)
	p.Release()
	linktest.WantNoAllocs(t, func() { h.ip.Input(h.t0, link.NewPacketFrom(frame)) })
}

func BenchmarkEchoReply(b *testing.B) {
	h := newTestHost(b)
	h.answer = (*link.Packet).Release
	p := packet("10.0.0.9", "10.0.0.2", ipv4.ProtocolICMP, messageOf(Header{Type: TypeEcho}, make([]byte, 56)))
	frame := append([]byte(nil), p.Bytes()...)
	p.Release()
	b.ReportAllocs()
	for b.Loop() {
		h.ip.Input(h.t0, link.NewPacketFrom(frame))
	}
}

func FuzzInput(f *testing.F) {
	f.Add(messageOf(Header{Type: TypeEcho, Info: 1}, []byte("abc")))
	f.Add(messageOf(Header{Type: TypeTimestamp}, make([]byte, 12)))
	quote := packet("10.0.0.2", "10.0.0.9", ipv4.ProtocolICMP, messageOf(Header{Type: TypeEcho}, nil))
	f.Add(messageOf(Header{Type: TypeUnreachable, Code: 4, Info: 576}, quote.Bytes()))
	f.Add(messageOf(Header{Type: TypeRedirect, Code: 1, Info: 0x0a000007}, quote.Bytes()))
	quote.Release()
	h := newTestHost(f)
	defer func() { h.t = f }()
	f.Fuzz(func(t *testing.T, m []byte) {
		if len(m) > ipv4.MaxPacketLen-ipv4.HeaderLen {
			return
		}
		h.t, h.sent = t, nil
		if head, err := Parse(m); err == nil {
			b := make([]byte, HeaderLen)
			head.Put(b)
			back, _ := Parse(b)
			back.Checksum = head.Checksum
			require.Equal(t, head, back)
			m = append([]byte(nil), m...)
			SetChecksum(m)
		}
		h.input(m)
		for _, s := range h.sent {
			require.False(t, isError(s.Type), "no error in answer to ICMP")
		}
	})
}
