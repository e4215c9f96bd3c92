package main

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/tapstack/tapstack/link"
)

// words walks through arguments in iproute2's grammar: keywords, most of them
// with a value behind.
type words struct {
	object string // what the words are about, for errors
	args   []string
}

func (w *words) more() bool { return len(w.args) > 0 }

func (w *words) next() string {
	s := w.args[0]
	w.args = w.args[1:]
	return s
}

// value returns the word behind a keyword.
func (w *words) value(keyword string) (string, error) {
	if !w.more() {
		return "", as(usage("%s: %q wants a value", w.object, keyword), ipUsage, `Command line is not complete. Try option "help"`)
	}
	return w.next(), nil
}

func (w *words) number(keyword string, bits int) (uint64, error) {
	s, err := w.value(keyword)
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(s, 0, bits)
	if err != nil {
		return 0, as(usage("%s: %s %q: want a number", w.object, keyword, s), ipUsage, "Error: argument %q is wrong: Invalid %q value\n", s, keyword)
	}
	return n, nil
}

func (w *words) addr(keyword string) (netip.Addr, error) {
	s, err := w.value(keyword)
	if err != nil {
		return netip.Addr{}, err
	}
	return parseAddr(s)
}

// unknown is the error about a word that means nothing here.
func (w *words) unknown(s string) error {
	object := strings.Fields(w.object)[0]
	keyword := "to"
	if object == "link" || object == "addr" {
		keyword = "dev"
	}
	return as(usage("%s: %q is not understood; see `tapstack %s --help`", w.object, s, object),
		ipUsage, "Error: either %q is duplicate, or %q is a garbage.", keyword, s)
}

// short reports whether s is an abbreviation of keyword, as iproute2 takes them:
// any beginning.
func short(s, keyword string) bool { return s != "" && strings.HasPrefix(keyword, s) }

func parseAddr(s string) (netip.Addr, error) {
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is4() {
		return netip.Addr{}, as(usage("%q is not an IPv4 address", s), ipFailed, "Error: any valid address is expected rather than %q.", s)
	}
	return a, nil
}

// noPrefix is what iproute2 says about what is no prefix.
const noPrefix = "Error: any valid prefix is expected rather than %q."

// parsePrefix reads an address with an optional prefix length, "default", "any"
// or "all". The address may be shortened, as in 10/8.
func parsePrefix(s string) (netip.Prefix, error) {
	if s == "default" || s == "any" || s == "all" {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0), nil
	}
	addr, bits, slash := strings.Cut(s, "/")
	for n := strings.Count(addr, "."); slash && n < 3; n++ {
		addr += ".0"
	}
	a, err := netip.ParseAddr(addr)
	if err != nil || !a.Is4() {
		return netip.Prefix{}, as(usage("%q is not an IPv4 prefix: want for instance 10.0.0.0/24", s), ipFailed, noPrefix, s)
	}
	n := 32
	if slash {
		if n, err = parseLength(bits); err != nil {
			return netip.Prefix{}, as(usage("%q is not an IPv4 prefix: its length is 0 to 32", s), ipFailed, noPrefix, s)
		}
	}
	return netip.PrefixFrom(a, n), nil
}

// parseLength reads a prefix length, or a netmask.
func parseLength(s string) (int, error) {
	if n, err := strconv.Atoi(s); err == nil && n >= 0 && n <= 32 {
		return n, nil
	}
	m, err := netip.ParseAddr(s)
	if err != nil || !m.Is4() {
		return 0, fmt.Errorf("%q is no prefix length", s)
	}
	b, n := m.As4(), 0
	for n < 32 && b[n/8]&(0x80>>(n%8)) != 0 {
		n++
	}
	if p, _ := m.Prefix(n); p.Addr() != m {
		return 0, fmt.Errorf("%q is no netmask", s)
	}
	return n, nil
}

// parseLLAddr reads six hexadecimal numbers with colons between, of one or two
// digits each as iproute2 takes them.
func parseLLAddr(s string) (link.Addr, error) {
	bad := as(usage("%q is not an Ethernet address: want for instance 02:00:00:00:00:09", s), ipFailed, "%q is invalid lladdr.", s)
	parts := strings.Split(s, ":")
	var a link.Addr
	if len(parts) != len(a) {
		return a, bad
	}
	for i, p := range parts {
		if len(p) == 1 {
			p = "0" + p
		}
		b, err := hex.DecodeString(p)
		if err != nil || len(b) != 1 {
			return link.Addr{}, bad
		}
		a[i] = b[0]
	}
	return a, nil
}

// protocols are the names of rt_protos for who made a route or an entry.
var protocols = []struct {
	number uint8
	name   string
}{
	{0, "unspec"}, {1, "redirect"}, {2, "kernel"}, {3, "boot"}, {4, "static"}, {8, "gated"}, {9, "ra"}, {10, "mrt"},
	{11, "zebra"}, {12, "bird"}, {13, "dnrouted"}, {14, "xorp"}, {15, "ntk"}, {16, "dhcp"}, {18, "keepalived"},
	{42, "babel"}, {186, "bgp"}, {187, "isis"}, {188, "ospf"}, {189, "rip"}, {192, "eigrp"},
}

func protocolName(n uint8) string {
	for _, p := range protocols {
		if p.number == n {
			return p.name
		}
	}
	return strconv.Itoa(int(n))
}

func (w *words) protocol() (uint8, error) {
	s, err := w.value("proto")
	if err != nil {
		return 0, err
	}
	for _, p := range protocols {
		if p.name == s {
			return p.number, nil
		}
	}
	n, err := strconv.ParseUint(s, 0, 8)
	if err != nil {
		return 0, as(usage("%s: proto %q is not known", w.object, s), ipUsage, "Error: argument %q is wrong: \"protocol\" value is invalid\n", s)
	}
	return uint8(n), nil
}
