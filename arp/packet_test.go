package arp

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
)

var (
	macA = link.Addr{2, 0, 0, 0, 0, 0xa}
	macB = link.Addr{2, 0, 0, 0, 0, 0xb}
	ourM = link.Addr{2, 0, 0, 0, 0, 2}
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

// wirePacket puts labelled hexadecimal parts together.
func wirePacket(parts ...string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(strings.Join(parts, ""), " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func TestParse(t *testing.T) {
	const (
		ethernet = "0001"
		ipv4     = "0800"
		lens     = "06 04"
		request  = "0001"
		reply    = "0002"
		sender   = "02000000000a 0a000009"
		target   = "000000000000 0a000002"
	)
	want := Packet{Op: Request, SenderAddr: macA, SenderIP: ip("10.0.0.9"), TargetIP: ip("10.0.0.2")}
	wantReply := want
	wantReply.Op = Reply
	pad := strings.Repeat("a5", 18)
	for _, c := range []struct {
		name string
		in   []byte
		want Packet
		err  error
	}{
		{"ok, request", wirePacket(ethernet, ipv4, lens, request, sender, target), want, nil},
		{"ok, reply", wirePacket(ethernet, ipv4, lens, reply, sender, target), wantReply, nil},
		{"ok, padded to the Ethernet minimum [ARP-2]", wirePacket(ethernet, ipv4, lens, request, sender, target, pad), want, nil},
		{"ok, hardware type IEEE 802 [ARP-5]", wirePacket("0006", ipv4, lens, request, sender, target), want, nil},
		{"bad, empty [ARP-2]", nil, Packet{}, ErrShort},
		{"bad, one byte short [ARP-2]", wirePacket(ethernet, ipv4, lens, request, sender, "0000000000000a0000"), Packet{}, ErrShort},
		{"bad, hardware length 8 [ARP-3]", wirePacket(ethernet, ipv4, "08 04", request, sender, target), Packet{}, ErrHardware},
		{"bad, protocol length 5 [ARP-3]", wirePacket(ethernet, ipv4, "06 05", request, sender, target), Packet{}, ErrProtocol},
		{"bad, hardware type 7 [ARP-5]", wirePacket("0007", ipv4, lens, request, sender, target), Packet{}, ErrHardware},
		{"bad, hardware type 0 [ARP-5]", wirePacket("0000", ipv4, lens, request, sender, target), Packet{}, ErrHardware},
		{"bad, protocol IPv6 [ARP-5]", wirePacket(ethernet, "86dd", lens, request, sender, target), Packet{}, ErrProtocol},
		{"bad, operation 0 [ARP-6]", wirePacket(ethernet, ipv4, lens, "0000", sender, target), Packet{}, ErrOperation},
		{"bad, RARP request [ARP-6]", wirePacket(ethernet, ipv4, lens, "0003", sender, target), Packet{}, ErrOperation},
		{"bad, InARP request [ARP-6]", wirePacket(ethernet, ipv4, lens, "0008", sender, target), Packet{}, ErrOperation},
		{"bad, NAK [ARP-6]", wirePacket(ethernet, ipv4, lens, "000a", sender, target), Packet{}, ErrOperation},
		{"bad, experimental 24 [ARP-6]", wirePacket(ethernet, ipv4, lens, "0018", sender, target), Packet{}, ErrOperation},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Parse(c.in)
			require.ErrorIs(t, err, c.err)
			require.Equal(t, c.want, got)
			if err == nil {
				b := make([]byte, Len)
				got.Put(b)
				require.Equal(t, c.in[2:Len], b[2:], "Put gives back what Parse read")
				require.Equal(t, []byte{0, 1}, b[:2], "and always says Ethernet")
			}
		})
	}
}

func TestGratuitous(t *testing.T) {
	own := ip("10.0.0.9")
	for _, c := range []struct {
		name string
		p    Packet
		want bool
	}{
		{"request for its own address [ARP-24]", Packet{Op: Request, SenderIP: own, TargetIP: own, SenderAddr: macA}, true},
		{"request for another", Packet{Op: Request, SenderIP: own, TargetIP: ip("10.0.0.2"), SenderAddr: macA}, false},
		{"reply, target hardware address its own [ARP-24]", Packet{Op: Reply, SenderIP: own, TargetIP: own, SenderAddr: macA, TargetAddr: macA}, true},
		{"reply, target hardware address broadcast [ARP-24]", Packet{Op: Reply, SenderIP: own, TargetIP: own, SenderAddr: macA, TargetAddr: link.BroadcastAddr}, false},
		{"reply, target hardware address zero [ARP-24]", Packet{Op: Reply, SenderIP: own, TargetIP: own, SenderAddr: macA}, false},
	} {
		t.Run(c.name, func(t *testing.T) { require.Equal(t, c.want, c.p.gratuitous()) })
	}
}

func TestCodecDoesNotAllocate(t *testing.T) {
	b := make([]byte, Len)
	p := Packet{Op: Reply, SenderAddr: macA, SenderIP: ip("10.0.0.9"), TargetAddr: macB, TargetIP: ip("10.0.0.2")}
	linktest.WantNoAllocs(t, func() {
		p.Put(b)
		if q, err := Parse(b); err != nil || q != p {
			t.Fatal("codec is not its own inverse")
		}
	})
}

func FuzzParse(f *testing.F) {
	b := make([]byte, Len)
	Packet{Op: Request, SenderAddr: macA, SenderIP: ip("10.0.0.9"), TargetIP: ip("10.0.0.2")}.Put(b)
	f.Add(b)
	f.Add(append(b, make([]byte, 18)...))
	f.Add([]byte{0, 1, 8, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := Parse(b)
		if err != nil {
			return
		}
		out := make([]byte, Len)
		p.Put(out)
		if !bytes.Equal(out[2:], b[2:Len]) {
			t.Fatalf("Put(Parse(%x)) = %x", b[:Len], out)
		}
	})
}
