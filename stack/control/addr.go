package control

import (
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/stack"
)

// AddressRequest is a command about an address of an interface.
type AddressRequest struct {
	Dev       string       `json:"dev"`
	Prefix    netip.Prefix `json:"prefix"`             // the address and its prefix length
	Peer      netip.Addr   `json:"peer,omitzero"`      // whose subnet the length is then of
	Broadcast netip.Addr   `json:"broadcast,omitzero"` // default: the subnet's highest
	Scope     string       `json:"scope,omitempty"`    // default global
	Label     string       `json:"label,omitempty"`
	Metric    uint32       `json:"metric,omitempty"`   // of the connected route
	NoPrefix  bool         `json:"noprefix,omitempty"` // no connected route
	// AnyLength deletes the address whatever its prefix length is.
	AnyLength bool `json:"anylength,omitempty"`
	// Valid and Preferred are lifetimes in seconds; nil is for ever.
	Valid     *uint32 `json:"valid_lft,omitempty"`
	Preferred *uint32 `json:"preferred_lft,omitempty"`
	// ACD asks for the address by RFC 5227, and says how it is defended: never,
	// once or always.
	ACD string `json:"acd,omitempty"`
}

func (a AddressRequest) address(now time.Time) (ipv4.Address, error) {
	scope, err := parseScope(a.Scope)
	return ipv4.Address{
		Prefix: a.Prefix, Peer: a.Peer, Broadcast: a.Broadcast, Scope: scope, Metric: a.Metric, NoPrefixRoute: a.NoPrefix, Label: a.Label,
		ValidUntil: until(now, a.Valid), PreferredUntil: until(now, a.Preferred),
	}, err
}

// until returns the end of a lifetime, zero for never.
func until(now time.Time, seconds *uint32) time.Time {
	if seconds == nil {
		return time.Time{}
	}
	return now.Add(time.Duration(*seconds) * time.Second)
}

func (s *Server) addressRequest(r *http.Request) (a AddressRequest, ip ipv4.Address, err error) {
	if err = decode(r, &a); err != nil {
		return a, ip, err
	}
	if _, err = s.dev(a.Dev); err != nil {
		return a, ip, err
	}
	ip, err = a.address(s.host.IPv4().Now())
	return a, ip, err
}

func (s *Server) addrAdd(r *http.Request) (any, error) {
	a, ip, err := s.addressRequest(r)
	if err != nil {
		return nil, err
	}
	if err := s.addAddress(a, ip, s.host.AddAddress); err != nil {
		return nil, refused(err, "address %s dev %s", a.Prefix, a.Dev)
	}
	return struct{}{}, nil
}

func (s *Server) addAddress(a AddressRequest, ip ipv4.Address, set func(string, ipv4.Address) error) error {
	if a.ACD == "" {
		return set(a.Dev, ip)
	}
	c := arp.ClaimConfig{Notify: s.claimEvent}
	var ok bool
	if c.Defence, ok = parseDefence(a.ACD); !ok {
		return invalid("control: acd %q: want never, once or always", a.ACD)
	}
	_, err := s.host.ClaimAddress(a.Dev, ip, c)
	return err
}

func parseDefence(name string) (arp.Defence, bool) {
	for _, d := range []arp.Defence{arp.DefendOnce, arp.DefendNever, arp.DefendAlways} {
		if d.String() == name {
			return d, true
		}
	}
	return 0, false
}

func (s *Server) addrReplace(r *http.Request) (any, error) {
	a, ip, err := s.addressRequest(r)
	if err != nil {
		return nil, err
	}
	err = s.addAddress(a, ip, s.host.ReplaceAddress)
	if err != nil && !(errors.Is(err, syscall.EEXIST) && s.isClaimed(a)) {
		return nil, refused(err, "address %s dev %s", a.Prefix, a.Dev)
	}
	return struct{}{}, nil
}

// isClaimed reports whether the address is asked for, or held, by RFC 5227.
func (s *Server) isClaimed(a AddressRequest) bool {
	return slices.ContainsFunc(s.host.AddressClaims(), func(c *stack.AddressClaim) bool {
		return c.Interface().Name() == a.Dev && c.Address().Prefix == a.Prefix
	})
}

func (s *Server) addrDelete(r *http.Request) (any, error) {
	a, ip, err := s.addressRequest(r)
	if err != nil {
		return nil, err
	}
	subject := a.Prefix.String()
	if a.AnyLength {
		ip.Prefix, subject = netip.PrefixFrom(a.Prefix.Addr(), -1), a.Prefix.Addr().String()
	}
	if err := s.host.DeleteAddress(a.Dev, ip); err != nil {
		return nil, refused(err, "address %s dev %s", subject, a.Dev)
	}
	return struct{}{}, nil
}

// scopes are iproute2's words for ipv4.Scope.
var scopes = []struct {
	scope ipv4.Scope
	name  string
}{
	{ipv4.ScopeUniverse, "global"}, {ipv4.ScopeSite, "site"}, {ipv4.ScopeLink, "link"}, {ipv4.ScopeHost, "host"},
	{ipv4.ScopeNowhere, "nowhere"},
}

func scopeName(scope ipv4.Scope) string {
	for _, s := range scopes {
		if s.scope == scope {
			return s.name
		}
	}
	return strconv.Itoa(int(scope))
}

// parseScope reads a word of scopes, or a number; "" is global.
func parseScope(name string) (ipv4.Scope, error) {
	if name == "" {
		return ipv4.ScopeUniverse, nil
	}
	for _, s := range scopes {
		if s.name == name {
			return s.scope, nil
		}
	}
	n, err := strconv.ParseUint(name, 10, 8)
	if err != nil {
		return 0, invalid("control: %q is no scope: want global, site, link or host", name)
	}
	return ipv4.Scope(n), nil
}
