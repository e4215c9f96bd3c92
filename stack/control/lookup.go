package control

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/tapstack/tapstack/stack"
)

// What getaddrinfo(3) says of a name.
const (
	nameUnknown = "Name or service not known"
	nameLater   = "Temporary failure in name resolution"
	nameFamily  = "Address family for hostname not supported"
)

// lookup returns the address of a host by its name, or address. The error has the
// words of getaddrinfo(3), and no errno.
func (s *Server) lookup(ctx context.Context, name string) (netip.Addr, error) {
	if a, err := netip.ParseAddr(name); err == nil {
		if a = a.Unmap(); !a.Is4() {
			return netip.Addr{}, &Error{Text: name + ": " + nameFamily}
		}
		return a, nil
	}
	list, err := s.host.LookupNetIP(ctx, "ip4", name)
	for _, a := range list {
		if a = a.Unmap(); a.Is4() {
			return a, nil
		}
	}
	// Without name servers nobody will know, however long one waits.
	if e := (*net.DNSError)(nil); err == nil || errors.As(err, &e) && e.IsNotFound || len(s.host.DNS().Servers) == 0 {
		return netip.Addr{}, &Error{Text: name + ": " + nameUnknown}
	}
	return netip.Addr{}, &Error{Text: name + ": " + nameLater}
}

// reverseWait is how long the name of an address may keep an answer from being
// shown.
const reverseWait = 2 * time.Second

// reverse returns the name of an address, "" if there is none.
func reverse(ctx context.Context, h *stack.Host, a netip.Addr) string {
	if len(h.DNS().Servers) == 0 {
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, reverseWait)
	defer cancel()
	names, err := h.Resolver().LookupAddr(ctx, a.String())
	if err != nil || len(names) == 0 {
		return ""
	}
	return strings.TrimSuffix(names[0], ".")
}
