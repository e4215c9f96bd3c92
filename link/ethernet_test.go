package link

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

var (
	testDst = Addr{2, 0, 0, 0, 0, 1}
	testSrc = Addr{2, 0, 0, 0, 0, 2}
)

// frame returns dst and src followed by rest.
func frame(rest ...byte) []byte {
	return append(append(testDst[:len(testDst):len(testDst)], testSrc[:]...), rest...)
}

func TestParseEthernet(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		typ  EtherType
		n    int
		err  error
	}{
		{"ok, IPv4", frame(0x08, 0x00, 0x45), IPv4, 14, nil},
		{"ok, ARP without payload", frame(0x08, 0x06), ARP, 14, nil},
		{"ok, unknown type", frame(0x88, 0xcc), 0x88cc, 14, nil},
		{"ok, a length field as in IEEE 802.3", frame(0x00, 0x26), 0x26, 14, nil},
		{"ok, priority tag is skipped", frame(0x81, 0x00, 0xe0, 0x00, 0x08, 0x06), ARP, 18, nil},
		{"ok, VLAN tag stays", frame(0x81, 0x00, 0x00, 0x05, 0x08, 0x06), VLAN, 14, nil},
		{"ok, a tag inside a priority tag stays", frame(0x81, 0x00, 0x00, 0x00, 0x81, 0x00, 0x00, 0x05), VLAN, 18, nil},
		{"bad, empty", nil, 0, 0, ErrShortFrame},
		{"bad, 13 bytes", frame(0x08), 0, 0, ErrShortFrame},
		{"bad, tag cut off", frame(0x81, 0x00, 0x00, 0x00, 0x08), 0, 0, ErrShortFrame},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, n, err := ParseEthernet(c.in)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.n, n)
			if c.err != nil {
				require.Equal(t, Ethernet{}, h)
				return
			}
			require.Equal(t, Ethernet{Dst: testDst, Src: testSrc, Type: c.typ}, h)
		})
	}
}

func TestEthernetPut(t *testing.T) {
	b := bytes.Repeat([]byte{0xee}, 16)
	Ethernet{Dst: testDst, Src: testSrc, Type: ARP}.Put(b)
	require.Equal(t, frame(0x08, 0x06, 0xee, 0xee), b, "14 bytes are written, no more")
	require.Panics(t, func() { Ethernet{}.Put(b[:13]) })
}

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		name string
		dst  Addr
		own  Addr
		want PacketType
	}{
		{"own address", testDst, testDst, Host},
		{"all-zero on a loopback", Addr{}, Addr{}, Host},
		{"broadcast", BroadcastAddr, testDst, Broadcast},
		{"multicast", Addr{0x01, 0x00, 0x5e, 0, 0, 1}, testDst, Multicast},
		{"somebody else's", testSrc, testDst, OtherHost},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, Classify(c.dst, c.own)) })
	}
}

func TestEtherNames(t *testing.T) {
	require.Equal(t, "IPv4 ARP 802.1Q IPv6 0x88cc",
		IPv4.String()+" "+ARP.String()+" "+VLAN.String()+" "+IPv6.String()+" "+EtherType(0x88cc).String())
	require.Equal(t, "host broadcast multicast otherhost",
		Host.String()+" "+Broadcast.String()+" "+Multicast.String()+" "+OtherHost.String())
}

func FuzzParseEthernet(f *testing.F) {
	f.Add(frame(0x08, 0x00, 0x45))
	f.Add(frame(0x81, 0x00, 0xe0, 0x00, 0x08, 0x06))
	f.Add(frame(0x81, 0x00, 0x00, 0x05, 0x08, 0x06))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, n, err := ParseEthernet(b)
		if err != nil {
			require.ErrorIs(t, err, ErrShortFrame)
			require.Zero(t, n)
			return
		}
		require.LessOrEqual(t, n, len(b))
		if n == EthernetHeaderLen {
			out := make([]byte, EthernetHeaderLen)
			h.Put(out)
			require.Equal(t, b[:EthernetHeaderLen], out)
		}
	})
}

func BenchmarkParseEthernet(b *testing.B) {
	in := frame(0x08, 0x00, 0x45)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := ParseEthernet(in); err != nil {
			b.Fatal(err)
		}
	}
}
