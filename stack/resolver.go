package stack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
)

// DNS says whom to ask for names.
type DNS struct {
	Servers []netip.Addr
	Search  []string // domains in which names without a dot at their end are looked for
}

type dnsSource struct {
	name string
	DNS
}

const dnsPort = 53

var errNoDNS = errors.New("no name server is known: set one with SetDNS, or use an IPv4 address")

// SetDNS sets what a source, for instance a DHCP client, knows of name servers, in
// place of what it knew before; with no servers and domains it is forgotten. The
// source that is known longest is asked first.
func (h *Host) SetDNS(source string, d DNS) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := slices.IndexFunc(h.dns, func(s dnsSource) bool { return s.name == source })
	empty := len(d.Servers) == 0 && len(d.Search) == 0
	switch list := slices.Clone(h.dns); {
	case at < 0 && !empty:
		h.dns = append(list, dnsSource{source, d})
	case at >= 0 && empty:
		h.dns = slices.Delete(list, at, at+1)
	case at >= 0:
		list[at].DNS = d
		h.dns = list
	}
}

// DNS returns what all sources know of name servers.
func (h *Host) DNS() (d DNS) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, s := range h.dns {
		for _, a := range s.Servers {
			if !slices.Contains(d.Servers, a) {
				d.Servers = append(d.Servers, a)
			}
		}
		for _, name := range s.Search {
			if !slices.Contains(d.Search, name) {
				d.Search = append(d.Search, name)
			}
		}
	}
	return d
}

// Resolver returns a resolver that asks the servers of DNS through this host. As
// in a network namespace, /etc/hosts is the machine's. Search domains are those of
// the machine, too: LookupNetIP knows better.
func (h *Host) Resolver() *net.Resolver {
	// How often a server is to be asked, and how long, is in the machine's
	// resolv.conf. Each try goes to the next of our servers.
	var tries atomic.Uint32
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		servers := h.DNS().Servers
		if len(servers) == 0 {
			return nil, errNoDNS
		}
		var n uint32
		if isUDP(network) {
			n = tries.Add(1) - 1
		} else {
			n = max(tries.Load(), 1) - 1 // the answer did not fit: the same server again
		}
		return h.DialContext(ctx, network, netip.AddrPortFrom(servers[n%uint32(len(servers))], dnsPort).String())
	}}
}

// LookupNetIP looks up the addresses of a name: with Config.Resolver, or else by
// asking the servers of DNS, in their search domains unless the name ends with a
// dot. The error is a *net.DNSError.
func (h *Host) LookupNetIP(ctx context.Context, network, name string) ([]netip.Addr, error) {
	if h.resolver != nil {
		return h.resolver.LookupNetIP(ctx, network, name)
	}
	if isLocalhost(name) {
		return []netip.Addr{loopback}, nil // RFC 6761, section 6.3: nobody else is asked
	}
	dns := h.DNS()
	if len(dns.Servers) == 0 {
		return nil, &net.DNSError{Err: errNoDNS.Error(), Name: name}
	}
	r := h.Resolver()
	var none, failed error
	for _, full := range candidates(name, dns.Search) {
		list, err := r.LookupNetIP(ctx, network, full)
		if err == nil {
			return list, nil
		}
		switch e := (*net.DNSError)(nil); {
		case !errors.As(err, &e), e.IsTimeout, ctx.Err() != nil:
			return nil, renamed(err, name)
		case e.IsNotFound:
			none = err
		default: // of this domain nothing is known, of the next perhaps
			failed = err
		}
	}
	if failed != nil {
		return nil, renamed(failed, name)
	}
	return nil, renamed(none, name)
}

// isLocalhost reports whether the name is this host's, on every host.
func isLocalhost(name string) bool {
	return strings.EqualFold(strings.TrimSuffix(name, "."), "localhost")
}

// candidates returns the names to try, complete ones, as resolv.conf(5) says of
// search and ndots:1: a name with a dot first as it is, one without a dot last.
func candidates(name string, search []string) []string {
	if strings.HasSuffix(name, ".") {
		return []string{name}
	}
	var list []string
	for _, domain := range search {
		if domain = strings.Trim(domain, "."); domain != "" {
			list = append(list, name+"."+domain+".")
		}
	}
	if strings.Contains(name, ".") {
		return append([]string{name + "."}, list...)
	}
	return append(list, name+".")
}

// renamed makes a lookup's error one about the name that was asked for.
func renamed(err error, name string) error {
	e := (*net.DNSError)(nil)
	if !errors.As(err, &e) {
		return fmt.Errorf("stack: look up %s: %w", name, err)
	}
	out := *e
	out.Name, out.Server = name, ""
	return &out
}
