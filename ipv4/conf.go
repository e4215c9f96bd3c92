package ipv4

import (
	"fmt"
	"syscall"
)

// Conf is a directory of net.ipv4.conf: the settings of one interface, of all
// of them together, or those that new interfaces start with. Any integer may be
// stored; a boolean is true unless 0.
type Conf struct {
	Forwarding               int
	RPFilter                 int // 0 no check, 1 strict, 2 loose (RFC 3704)
	AcceptLocal              int // packets from our own addresses are taken
	RouteLocalnet            int // 127/8 is an ordinary destination
	SendRedirects            int
	AcceptRedirects          int
	SecureRedirects          int // accept redirects to known gateways only
	SharedMedia              int // other subnets may be on the same link
	DropUnicastInL2Multicast int
	BCForwarding             int // directed broadcasts are forwarded
	IgnoreRoutesWithLinkdown int
	PromoteSecondaries       int
	AcceptSourceRoute        int // stored; source routes are refused all the same
	LogMartians              int
}

// merge says how the value of "all" joins that of an interface (Linux's
// IN_DEV_CONF_GET, IN_DEV_ORCONF, IN_DEV_ANDCONF, IN_DEV_MAXCONF).
type merge uint8

const (
	mergeOwn merge = iota
	mergeOr
	mergeAnd
	mergeMax
)

type confVar struct {
	name  string
	merge merge
	field func(*Conf) *int
}

// confVars lists the settings by Linux's names. A setting's index is its bit in
// Interface.confSet and Protocol.confSet.
var confVars = [...]confVar{
	{"forwarding", mergeOwn, func(c *Conf) *int { return &c.Forwarding }},
	{"rp_filter", mergeMax, func(c *Conf) *int { return &c.RPFilter }},
	{"accept_local", mergeOr, func(c *Conf) *int { return &c.AcceptLocal }},
	{"route_localnet", mergeOr, func(c *Conf) *int { return &c.RouteLocalnet }},
	{"send_redirects", mergeOr, func(c *Conf) *int { return &c.SendRedirects }},
	// The real merge of accept_redirects depends on forwarding: see mergeConf.
	{"accept_redirects", mergeOr, func(c *Conf) *int { return &c.AcceptRedirects }},
	{"secure_redirects", mergeOr, func(c *Conf) *int { return &c.SecureRedirects }},
	{"shared_media", mergeOr, func(c *Conf) *int { return &c.SharedMedia }},
	{"drop_unicast_in_l2_multicast", mergeOr, func(c *Conf) *int { return &c.DropUnicastInL2Multicast }},
	{"bc_forwarding", mergeAnd, func(c *Conf) *int { return &c.BCForwarding }},
	{"ignore_routes_with_linkdown", mergeOwn, func(c *Conf) *int { return &c.IgnoreRoutesWithLinkdown }},
	{"promote_secondaries", mergeOr, func(c *Conf) *int { return &c.PromoteSecondaries }},
	{"accept_source_route", mergeAnd, func(c *Conf) *int { return &c.AcceptSourceRoute }},
	{"log_martians", mergeOr, func(c *Conf) *int { return &c.LogMartians }},
}

// defaultConf returns what Linux's conf/all starts with; conf/default differs
// in accept_source_route only.
func defaultConf() Conf {
	return Conf{SendRedirects: 1, AcceptRedirects: 1, SecureRedirects: 1, SharedMedia: 1}
}

func mergeConf(all, own *Conf) *Conf {
	m := *own
	for _, v := range confVars {
		a, o, to := *v.field(all), *v.field(own), v.field(&m)
		switch v.merge {
		case mergeOr:
			*to = truth(a != 0 || o != 0)
		case mergeAnd:
			*to = truth(a != 0 && o != 0)
		case mergeMax:
			*to = max(a, o)
		}
	}
	// Linux's IN_DEV_RX_REDIRECTS: a router needs both, a host one of them.
	if own.Forwarding != 0 {
		m.AcceptRedirects = truth(all.AcceptRedirects != 0 && own.AcceptRedirects != 0)
	}
	return &m
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}

func confIndex(name string) (int, error) {
	for n, v := range confVars {
		if v.name == name {
			return n, nil
		}
	}
	return 0, fmt.Errorf("ipv4: no setting net.ipv4.conf.*.%s: %w", name, syscall.ENOENT)
}

// Conf returns the settings in effect on the interface: its own merged with
// those of "all", each by Linux's rule. The result is shared and must not be
// modified.
func (i *Interface) Conf() *Conf { return i.merged.Load() }

// SetConf sets net.ipv4.conf.<dir>.<name>, where dir is "all", "default" or the
// name of an interface. The error is ENOENT.
func (pr *Protocol) SetConf(dir, name string, value int) error {
	n, err := confIndex(name)
	if err != nil {
		return err
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	field := confVars[n].field
	switch dir {
	case "all":
		*field(&pr.confAll) = value
		if name == "forwarding" {
			pr.setForwardingLocked(value)
		}
	case "default":
		*field(&pr.confDefault) = value
		pr.confDefaultSet |= 1 << n
		// Interfaces on which nobody set this setting follow the template
		// (Linux's devinet_copy_dflt_conf).
		for _, i := range pr.interfaces.Load().list {
			if i.confSet&(1<<n) == 0 {
				*field(&i.conf) = value
			}
		}
	default:
		i := pr.interfaces.Load().byName(dir)
		if i == nil {
			return fmt.Errorf("ipv4: no interface %q: %w", dir, syscall.ENOENT)
		}
		*field(&i.conf) = value
		i.confSet |= 1 << n
	}
	pr.mergeConfLocked()
	return nil
}

// setForwardingLocked follows Linux's inet_forward_change: turning a host into a
// router, or back, resets every interface and whether redirects are believed.
func (pr *Protocol) setForwardingLocked(value int) {
	pr.confAll.AcceptRedirects = truth(value == 0)
	pr.confDefault.Forwarding = value
	for _, i := range pr.interfaces.Load().list {
		i.conf.Forwarding = value
	}
}

func (pr *Protocol) mergeConfLocked() {
	for _, i := range pr.interfaces.Load().list {
		i.merged.Store(mergeConf(&pr.confAll, &i.conf))
	}
}

// ConfValue returns net.ipv4.conf.<dir>.<name> as it was stored, not merged. The
// error is ENOENT.
func (pr *Protocol) ConfValue(dir, name string) (int, error) {
	n, err := confIndex(name)
	if err != nil {
		return 0, err
	}
	pr.mu.Lock()
	defer pr.mu.Unlock()
	switch dir {
	case "all":
		return *confVars[n].field(&pr.confAll), nil
	case "default":
		return *confVars[n].field(&pr.confDefault), nil
	}
	i := pr.interfaces.Load().byName(dir)
	if i == nil {
		return 0, fmt.Errorf("ipv4: no interface %q: %w", dir, syscall.ENOENT)
	}
	return *confVars[n].field(&i.conf), nil
}

// ConfNames returns the names that SetConf knows.
func ConfNames() []string {
	names := make([]string, len(confVars))
	for n, v := range confVars {
		names[n] = v.name
	}
	return names
}

// SetForwarding sets net.ipv4.ip_forward, which is conf.all.forwarding.
func (pr *Protocol) SetForwarding(on bool) { pr.SetConf("all", "forwarding", truth(on)) }

// Forwarding reports whether packets that the interface receives may be
// forwarded. It is false for an unknown interface.
func (pr *Protocol) Forwarding(index int) bool {
	i := pr.Interface(index)
	return i != nil && i.Conf().Forwarding != 0
}

// RouteLocalnet reports whether 127/8 is an ordinary network on the interface.
func (pr *Protocol) RouteLocalnet(index int) bool {
	i := pr.Interface(index)
	return i != nil && i.Conf().RouteLocalnet != 0
}

// AcceptLocal reports whether the interface takes packets from our own
// addresses.
func (pr *Protocol) AcceptLocal(index int) bool {
	i := pr.Interface(index)
	return i != nil && i.Conf().AcceptLocal != 0
}
