package main

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

func (c *cli) linkCommand() *cobra.Command {
	show := func(ctx context.Context, args []string) error { return c.linkShow(ctx, "link", args) }
	cmd := c.ipCommand(&cobra.Command{
		Use: "link [show] [dev DEV] [up]", Aliases: []string{"l", "li", "lin"},
		Short:   "Show and change interfaces, as `ip link`",
		Example: "  tapstack -s link\n  tapstack link set tap0 down\n  tapstack link set tap0 carrier off",
	}, show)
	cmd.AddCommand(
		c.ipCommand(&cobra.Command{
			Use: "show [dev DEV] [up]", Aliases: abbreviations("show", 2, "list", "lst", "ls", "l"),
			Short: "Show interfaces", Example: "  tapstack link show tap0",
		}, show),
		c.ipCommand(&cobra.Command{
			Use: "set [dev] DEV {up | down | address MAC | mtu N | carrier on|off | arp on|off}...", Aliases: []string{"se"},
			Short:   "Change an interface",
			Example: "  tapstack link set tap0 up\n  tapstack link set tap0 address 02:00:00:00:00:aa\n  tapstack link set tap0 mtu 1400",
		}, c.linkSet),
		c.ipCommand(&cobra.Command{
			Use: "add [name] NAME [type tap] [address MAC] [mtu N] [peer ADDR/LEN] [addr dhcp]", Aliases: []string{"a", "ad"},
			Short: "Add an interface on a TAP, up at once",
			Long: `Add an interface on the TAP called NAME, as run does for --link: a device that exists
is attached, one that does not is created and goes with the interface. Unlike a
new link of the kernel's it is up.`,
			Example: "  tapstack link add t1\n  tapstack link add t1 type tap address 02:00:00:00:01:02 mtu 1400 peer 10.1.0.1/24",
		}, c.linkAdd),
		c.ipCommand(&cobra.Command{
			Use: "del [dev] NAME", Aliases: abbreviations("delete", 1),
			Short: "Take an interface away, with its addresses, routes and neighbours", Example: "  tapstack link del t1",
		}, c.linkDelete),
	)
	return cmd
}

func (c *cli) linkAdd(ctx context.Context, args []string) error {
	l, err := linkRequest(args)
	if err != nil {
		return err
	}
	return c.client().Post(ctx, "link/add", l, nil)
}

// linkRequest reads the words of link add.
func linkRequest(args []string) (l control.LinkRequest, err error) {
	w := &words{"link add", args}
	for w.more() {
		switch s := w.next(); s {
		case "name", "dev":
			l.Name, err = w.value(s)
		case "type":
			if l.Type, err = w.value(s); err == nil && l.Type != "tap" {
				err = usage("link add: type %q: there is only tap", l.Type)
			}
		case "address":
			if s, err = w.value(s); err == nil {
				l.Address, err = stationAddr(s)
			}
		case "mtu":
			if s, err = w.value(s); err == nil {
				l.MTU, err = deviceMTU(s)
			}
		case "peer":
			if s, err = w.value(s); err == nil {
				l.Peer, err = hostPrefix(s)
			}
		case "addr":
			if s, err = w.value(s); err == nil && s != "dhcp" {
				err = usage("link add: addr %q: there is only dhcp; other addresses are for `tapstack addr add`", s)
			}
			l.DHCP = err == nil
		case "addr=dhcp": // as run spells it
			l.DHCP = true
		default:
			if l.Name != "" {
				return l, w.unknown(s)
			}
			l.Name = s
		}
		if err != nil {
			return l, err
		}
	}
	if l.Name == "" {
		return l, usage("link add: want a name, as in `tapstack link add t1`")
	}
	return l, deviceName(l.Name)
}

func (c *cli) linkDelete(ctx context.Context, args []string) error {
	w := &words{"link del", args}
	var l control.LinkName
	for w.more() {
		var err error
		switch s := w.next(); {
		case s == "dev":
			l.Dev, err = w.value(s)
		case l.Dev == "":
			l.Dev = s
		default:
			err = w.unknown(s)
		}
		if err != nil {
			return err
		}
	}
	if l.Dev == "" {
		return usage("link del: want a device, as in `tapstack link del t1`")
	}
	return c.client().Post(ctx, "link/del", l, nil)
}

func (c *cli) addrCommand() *cobra.Command {
	show := func(ctx context.Context, args []string) error { return c.linkShow(ctx, "addr", args) }
	cmd := c.ipCommand(&cobra.Command{
		Use: "addr [show] [dev DEV] [up]", Aliases: []string{"address", "a", "ad", "add"},
		Short:   "Show and change addresses, as `ip addr`",
		Example: "  tapstack addr\n  tapstack addr add 10.0.0.5/24 dev tap0\n  tapstack -br addr",
	}, show)
	cmd.AddCommand(c.ipCommand(&cobra.Command{
		Use: "show [dev DEV] [up]", Aliases: abbreviations("show", 1, "list", "lst", "ls", "l"),
		Short: "Show addresses", Example: "  tapstack addr show dev tap0",
	}, show), c.ipCommand(&cobra.Command{
		Use: "flush [dev DEV] [to PREFIX] [scope SCOPE] [label LABEL] [primary|secondary|permanent|dynamic|deprecated]", Aliases: abbreviations("flush", 1),
		Short: "Take addresses away", Example: "  tapstack addr flush dev tap0\n  tapstack addr flush dev tap0 scope global",
	}, c.addrFlush))
	for _, v := range []struct {
		verb, short, acd string
		aliases          []string
	}{
		{"add", "Give an interface an address", " [acd [never|once|always]]", []string{"a", "ad"}},
		{"replace", "Give an interface an address that it may have, or change that one's metric and lifetimes", " [acd [never|once|always]]", []string{"change", "r", "c"}},
		{"del", "Take an address away", "", abbreviations("delete", 1)},
	} {
		long, example := "", ""
		if v.acd != "" {
			long = v.short + `.

With acd the interface has the address only while no other host has it (RFC 5227):
it is asked for some seconds long, and tentative until then. When another host
uses it later, it is defended once and given up the second time within ten
seconds, or given up at once with never, or kept with always.`
			example = "\n  tapstack addr " + v.verb + " 10.0.0.7/24 dev tap0 acd"
		}
		cmd.AddCommand(c.ipCommand(&cobra.Command{
			Use:     v.verb + " ADDR[/LEN] [peer ADDR[/LEN]] [brd + | brd ADDR] [scope SCOPE] [label LABEL] [metric N] [valid_lft SEC] [preferred_lft SEC] [noprefixroute]" + v.acd + " dev DEV",
			Aliases: v.aliases, Short: v.short, Long: long,
			Example: "  tapstack addr " + v.verb + " 10.0.0.5/24 dev tap0\n  tapstack addr " + v.verb + " 10.9.9.9/32 dev lo scope host" + example,
		}, func(ctx context.Context, args []string) error { return c.addrSet(ctx, v.verb, args) }))
	}
	return cmd
}

// linkFilter says what `ip addr show` and `ip link show` were asked for.
type linkFilter struct {
	dev, scope, label string
	up                bool
	to                netip.Prefix
	flags             map[string]bool // the words of address flags, and whether they are to be set
}

func parseLinkFilter(object, verb string, args []string) (f linkFilter, err error) {
	w := &words{object + " " + verb, args}
	f.flags = make(map[string]bool)
	for w.more() && err == nil {
		s := w.next()
		addrs := object == "addr"
		switch {
		case s == "dev":
			f.dev, err = w.value(s)
		case s == "up":
			f.up = true
		case s == "scope" && addrs:
			f.scope, err = w.scope(s)
		case s == "label" && addrs:
			f.label, err = w.value(s)
		case s == "to" && addrs:
			if s, err = w.value(s); err == nil {
				f.to, err = parsePrefix(s)
			}
		case (s == "secondary" || s == "temporary" || s == "deprecated" || s == "dynamic" || s == "tentative" || s == "dadfailed") && addrs:
			f.flags[s] = true
		case s == "primary" && addrs:
			f.flags["secondary"] = false
		case s == "permanent" && addrs:
			f.flags["dynamic"] = false
		case f.dev == "":
			f.dev = s
		default:
			err = w.unknown(s)
		}
	}
	return f, err
}

// any reports whether the filter looks at addresses.
func (f linkFilter) any() bool {
	return f.scope != "" || f.label != "" || f.to.IsValid() || len(f.flags) > 0
}

func (f linkFilter) has(dev string, a control.Address) bool {
	for word, on := range f.flags {
		if slices.Contains(addressFlags(a), word) != on {
			return false
		}
	}
	return (f.scope == "" || f.scope == a.Scope) && (f.label == "" || f.label == labelOf(a, dev)) && (!f.to.IsValid() || f.to.Contains(a.Local))
}

// links returns the interfaces that the filter lets through, with the addresses
// that it does.
func (c *cli) links(ctx context.Context, client *control.Client, object string, f linkFilter) ([]control.Link, error) {
	var list, shown []control.Link
	if err := client.Get(ctx, object, url.Values{"dev": {f.dev}}, &list); err != nil {
		return nil, err
	}
	only := f.any() || object == "addr" && c.opts.ipv4
	for _, l := range list {
		if f.any() {
			l.Addresses = slices.DeleteFunc(l.Addresses, func(a control.Address) bool { return !f.has(l.Name, a) })
		}
		if (!f.up || slices.Contains(l.Flags, "UP")) && (!only || len(l.Addresses) > 0) {
			shown = append(shown, l)
		}
	}
	return shown, nil
}

func (c *cli) linkShow(ctx context.Context, object string, args []string) error {
	f, err := parseLinkFilter(object, "show", args)
	if err != nil {
		return err
	}
	client := c.client()
	defer client.Close()
	list, err := c.links(ctx, client, object, f)
	if err != nil {
		return err
	}
	return c.write(printLinks(c.opts, list, object == "addr"))
}

func (c *cli) addrFlush(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return as(usage("addr flush: want whose addresses, as in `tapstack addr flush dev tap0`"), ipFailed, "Flush requires arguments.")
	}
	f, err := parseLinkFilter("addr", "flush", args)
	if err != nil {
		return err
	}
	client := c.client()
	defer client.Close()
	list, err := c.links(ctx, client, "addr", f)
	if err != nil {
		return err
	}
	n := 0
	for _, l := range list {
		// Secondary addresses before their primary, which would take them along.
		for _, a := range slices.Backward(l.Addresses) {
			r := control.AddressRequest{Dev: l.Name, Prefix: netip.PrefixFrom(a.Local, a.PrefixLen)}
			if err := client.Post(ctx, "addr/del", r, nil); err != nil && errnoOf(err) != syscall.EADDRNOTAVAIL {
				return err
			}
			n++
		}
	}
	switch {
	case c.opts.stats == 0:
		return nil
	case n == 0:
		return c.write([]byte("Nothing to flush.\n"))
	}
	return c.write(fmt.Appendf(nil, "\n*** Round 1, deleting %d addresses ***\n*** Flush is complete after 1 round ***\n", n))
}

func (c *cli) linkSet(ctx context.Context, args []string) error {
	ch, err := linkChange(args)
	if err != nil {
		return err
	}
	return c.client().Post(ctx, "link/set", ch, nil)
}

func linkChange(args []string) (ch control.LinkChange, err error) {
	w := &words{"link set", args}
	yes, no := true, false
	for w.more() {
		switch s := w.next(); s {
		case "up":
			ch.Up = &yes
		case "down":
			ch.Up = &no
		case "dev":
			ch.Dev, err = w.value(s)
		case "carrier":
			ch.Carrier, err = w.onOff(s)
		case "arp":
			ch.ARP, err = w.onOff(s)
		case "mtu":
			var n uint64
			n, err = w.number(s, 31)
			mtu := int(n)
			ch.MTU = &mtu
		case "address", "addr", "lladdr":
			if s, err = w.value(s); err != nil {
				return ch, err
			}
			mac, err := parseLLAddr(s)
			if err != nil {
				return ch, err
			}
			ch.Address = &mac
		default:
			if ch.Dev != "" {
				return ch, w.unknown(s)
			}
			ch.Dev = s
		}
		if err != nil {
			return ch, err
		}
	}
	if ch.Dev == "" {
		return ch, usage("link set: want a device, as in `tapstack link set tap0 up`")
	}
	if ch == (control.LinkChange{Dev: ch.Dev}) {
		return ch, usage("link set %s: want what to change: up, down, address MAC, mtu N, carrier on|off", ch.Dev)
	}
	return ch, nil
}

func (w *words) onOff(keyword string) (*bool, error) {
	s, err := w.value(keyword)
	if err != nil {
		return nil, err
	}
	on := s == "on"
	if !on && s != "off" {
		return nil, usage("%s: %s %q: want on or off", w.object, keyword, s)
	}
	return &on, nil
}

// wildcardWarning is what iproute2 says of an address to be deleted whose length
// is not given.
const wildcardWarning = `Warning: Executing wildcard deletion to stay compatible with old scripts.
         Explicitly specify the prefix length (%s/%d) to avoid this warning.
         This special behaviour is likely to disappear in further releases,
         fix your scripts!
`

func (c *cli) addrSet(ctx context.Context, verb string, args []string) error {
	r, err := addressRequest(verb, args)
	if err != nil {
		return err
	}
	if r.AnyLength {
		fmt.Fprintf(c.err, wildcardWarning, r.Prefix.Addr(), r.Prefix.Bits())
	}
	return c.client().Post(ctx, "addr/"+verb, r, nil)
}

// lifetime reads a number of seconds, or forever, which is nil.
func (w *words) lifetime(keyword string) (*uint32, error) {
	if w.skip("forever") {
		return nil, nil
	}
	n, err := w.number(keyword, 32)
	seconds := uint32(n)
	return &seconds, err
}

func lifetimeOf(seconds *uint32) uint64 {
	if seconds == nil {
		return forever
	}
	return uint64(*seconds)
}

func addressRequest(verb string, args []string) (r control.AddressRequest, err error) {
	w := &words{"addr " + verb, args}
	r.Broadcast = netip.IPv4Unspecified() // as with ip(8), there is none without brd
	var peer netip.Prefix
	var low bool // brd -
	for w.more() {
		switch s := w.next(); s {
		case "dev":
			r.Dev, err = w.value(s)
		case "scope":
			r.Scope, err = w.scope(s)
		case "metric", "priority", "preference":
			var n uint64
			n, err = w.number(s, 32)
			r.Metric = uint32(n)
		case "noprefixroute":
			r.NoPrefix = true
		case "acd":
			if verb == "del" {
				return r, w.unknown(s)
			}
			r.ACD = "once"
			if w.more() && (w.args[0] == "never" || w.args[0] == "once" || w.args[0] == "always") {
				r.ACD = w.next()
			}
		case "label":
			r.Label, err = w.value(s)
		case "valid_lft":
			r.Valid, err = w.lifetime(s)
		case "preferred_lft":
			r.Preferred, err = w.lifetime(s)
		case "peer", "remote":
			if s, err = w.value(s); err == nil {
				peer, err = parsePrefix(s)
			}
		case "brd", "broadcast":
			if s, err = w.value(s); err != nil {
				return r, err
			}
			switch s {
			case "+":
				r.Broadcast = netip.Addr{} // the subnet's
			case "-":
				low = true
			default:
				r.Broadcast, err = parseAddr(s)
			}
		default:
			if s == "local" {
				if s, err = w.value(s); err != nil {
					return r, err
				}
			}
			if r.Prefix.IsValid() {
				return r, w.unknown(s)
			}
			r.Prefix, err = parsePrefix(s)
			r.AnyLength = verb == "del" && !strings.Contains(s, "/")
		}
		if err != nil {
			return r, err
		}
	}
	if peer.IsValid() {
		r.Peer, r.Prefix = peer.Addr(), netip.PrefixFrom(r.Prefix.Addr(), peer.Bits())
		r.AnyLength = false
	}
	if low {
		r.Broadcast = r.Prefix.Masked().Addr() // all zeroes, as 4.2BSD did
	}
	if r.Valid != nil && *r.Valid == 0 {
		return r, as(usage("addr %s: valid_lft is 0", verb), ipFailed, "valid_lft is zero")
	}
	if (r.Valid != nil || r.Preferred != nil) && lifetimeOf(r.Preferred) > lifetimeOf(r.Valid) {
		return r, as(usage("addr %s: preferred_lft is longer than valid_lft", verb), ipFailed, "preferred_lft is greater than valid_lft")
	}
	if !r.Prefix.IsValid() || r.Dev == "" {
		return r, usage("addr %s: want an address and a device, as in `tapstack addr %s 10.0.0.5/24 dev tap0`", verb, verb)
	}
	return r, nil
}
