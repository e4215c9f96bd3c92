package link

import (
	"encoding/hex"
	"fmt"
	"net/netip"
)

// AddrLen is the length of an Ethernet address in bytes.
const AddrLen = 6

// Addr is an Ethernet (MAC-48) address. It is comparable; the zero value is
// 00:00:00:00:00:00, which stands for "none".
type Addr [AddrLen]byte

// BroadcastAddr is the address of every station, ff:ff:ff:ff:ff:ff.
var BroadcastAddr = Addr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// ParseAddr parses six colon-separated pairs of hexadecimal digits, the form
// that iproute2 prints.
func ParseAddr(s string) (Addr, error) {
	var a Addr
	if len(s) != 17 {
		return Addr{}, fmt.Errorf("link: %q is no Ethernet address: want six hexadecimal pairs as in 02:00:00:00:00:02", s)
	}
	for i := range a {
		if i > 0 && s[3*i-1] != ':' {
			return Addr{}, fmt.Errorf("link: %q is no Ethernet address: want ':' between pairs", s)
		}
		if _, err := hex.Decode(a[i:i+1], []byte(s[3*i:3*i+2])); err != nil {
			return Addr{}, fmt.Errorf("link: %q is no Ethernet address: %w", s, err)
		}
	}
	return a, nil
}

// String returns the colon-separated form in lower case.
func (a Addr) String() string {
	b, _ := a.AppendText(make([]byte, 0, 17))
	return string(b)
}

// AppendText appends the form that String returns. The error is always nil.
func (a Addr) AppendText(b []byte) ([]byte, error) {
	const digits = "0123456789abcdef"
	for i, x := range a {
		if i > 0 {
			b = append(b, ':')
		}
		b = append(b, digits[x>>4], digits[x&15])
	}
	return b, nil
}

// MarshalText implements encoding.TextMarshaler with the form of String.
func (a Addr) MarshalText() ([]byte, error) { return a.AppendText(nil) }

// UnmarshalText implements encoding.TextUnmarshaler with ParseAddr.
func (a *Addr) UnmarshalText(b []byte) error {
	v, err := ParseAddr(string(b))
	if err == nil {
		*a = v
	}
	return err
}

// IsZero reports whether a is the all-zero address.
func (a Addr) IsZero() bool { return a == Addr{} }

// IsBroadcast reports whether a is ff:ff:ff:ff:ff:ff.
func (a Addr) IsBroadcast() bool { return a == BroadcastAddr }

// IsGroup reports whether a has the group bit: it is multicast or broadcast.
func (a Addr) IsGroup() bool { return a[0]&1 != 0 }

// MulticastAddr maps an IPv4 multicast address to its Ethernet address:
// 01:00:5e and the low 23 bits (RFC 1112, section 6.4).
func MulticastAddr(ip netip.Addr) Addr {
	b := ip.As4()
	return Addr{0x01, 0x00, 0x5e, b[1] & 0x7f, b[2], b[3]}
}
