package control

import (
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack"
)

// Link is an interface, with its addresses, as `ip -j -s addr` describes one.
type Link struct {
	Index     int       `json:"ifindex"`
	Name      string    `json:"ifname"`
	Flags     []string  `json:"flags"`
	MTU       int       `json:"mtu"`
	OperState string    `json:"operstate"`
	Type      string    `json:"link_type"` // ether, loopback
	Address   string    `json:"address"`
	Broadcast string    `json:"broadcast"`
	Addresses []Address `json:"addr_info"`
	Offloads  string    `json:"offloads,omitempty"` // what the device does for the stack
	Queues    int       `json:"queues"`
	Rx        Traffic   `json:"rx"`
	Tx        Traffic   `json:"tx"`
}

// Traffic counts one direction of an interface.
type Traffic struct {
	Bytes     uint64 `json:"bytes"`
	Packets   uint64 `json:"packets"`
	Dropped   uint64 `json:"dropped"`
	Multicast uint64 `json:"multicast,omitempty"`
}

// Address is an IPv4 address of an interface.
type Address struct {
	Local     netip.Addr `json:"local"`
	PrefixLen int        `json:"prefixlen"`
	Peer      netip.Addr `json:"peer,omitzero"`
	Broadcast netip.Addr `json:"broadcast,omitzero"`
	Scope     string     `json:"scope"`
	Label     string     `json:"label,omitempty"` // "" for the interface's name
	Secondary bool       `json:"secondary,omitempty"`
	Metric    uint32     `json:"metric,omitempty"`
	NoPrefix  bool       `json:"noprefixroute,omitempty"`
	// Deprecated tells that PreferredUntil is past.
	Deprecated bool `json:"deprecated,omitempty"`

	// The interface does not have a tentative address yet, or at the moment, and
	// will not get one whose DADFailed is set: another host has it.
	Tentative bool `json:"tentative,omitempty"`
	DADFailed bool `json:"dadfailed,omitempty"`
	// Dynamic tells that the address goes by itself: until when it may be used, and
	// used for new connections; the zero time is never.
	Dynamic        bool      `json:"dynamic,omitempty"`
	ValidUntil     time.Time `json:"valid_until,omitzero"`
	PreferredUntil time.Time `json:"preferred_until,omitzero"`
	// ACD is how far the claim to the address is, when there is one.
	ACD string `json:"acd,omitempty"`
}

func (s *Server) linkShow(r *http.Request) (any, error) { return s.links(r.URL.Query().Get("dev")) }

// links returns the interface called dev, all of them for "".
func (s *Server) links(dev string) ([]Link, error) {
	if dev != "" {
		if _, err := s.dev(dev); err != nil {
			return nil, err
		}
	}
	list := []Link{}
	claims := s.host.AddressClaims()
	for _, i := range s.host.Interfaces() {
		if dev != "" && i.Name() != dev {
			continue
		}
		st := i.Stats()
		l := Link{
			Index: i.Index(), Name: i.Name(), MTU: i.MTU(), Type: "ether",
			Address: i.Addr().String(), Broadcast: link.BroadcastAddr.String(),
			Offloads: i.Features().String(), Queues: i.Queues(),
			Rx: Traffic{st.RxBytes.Load(), st.RxPackets.Load(), st.RxDropped.Load(), st.Multicast.Load()},
			Tx: Traffic{st.TxBytes.Load(), st.TxPackets.Load(), st.TxDropped.Load(), 0},
		}
		l.Flags, l.OperState = flags(i.Loopback(), i.Up(), i.Carrier())
		if i.Loopback() {
			l.Type, l.Broadcast = "loopback", link.Addr{}.String()
		}
		for _, a := range s.host.IPv4().Addresses(i.Index()) {
			l.Addresses = append(l.Addresses, addressOf(a, i.Loopback()))
		}
		for _, c := range claims {
			if c.Interface() == i {
				l.Addresses = claimed(l.Addresses, c)
			}
		}
		list = append(list, l)
	}
	return list, nil
}

// flags returns what iproute2 prints of an interface's condition.
func flags(loopback, up, carrier bool) (list []string, operState string) {
	operState = "DOWN"
	if up && !carrier {
		list = append(list, "NO-CARRIER")
	}
	if loopback {
		list = append(list, "LOOPBACK")
	} else {
		list = append(list, "BROADCAST", "MULTICAST")
	}
	if up {
		list = append(list, "UP")
		if carrier {
			list = append(list, "LOWER_UP")
			operState = "UP"
		}
		if loopback {
			operState = "UNKNOWN"
		}
	}
	return list, operState
}

func addressOf(a ipv4.Address, loopback bool) Address {
	out := Address{
		Local: a.Addr(), PrefixLen: a.Prefix.Bits(), Peer: a.Peer, Scope: scopeName(a.Scope), Label: a.Label, Secondary: a.Secondary,
		Metric: a.Metric, NoPrefix: a.NoPrefixRoute, Deprecated: a.Deprecated,
	}
	// lo broadcasts to nobody, though its routes know an address for it.
	if a.Broadcast.IsValid() && !a.Broadcast.IsUnspecified() && !loopback {
		out.Broadcast = a.Broadcast
	}
	if !a.ValidUntil.IsZero() {
		out.Dynamic, out.ValidUntil, out.PreferredUntil = true, a.ValidUntil.Round(0), a.PreferredUntil.Round(0)
	}
	return out
}

// claimed returns a list with an address in it, marked as one that is claimed.
func claimed(list []Address, c *stack.AddressClaim) []Address {
	state := c.State()
	n := slices.IndexFunc(list, func(a Address) bool {
		return a.Local == c.Address().Addr() && a.PrefixLen == c.Address().Prefix.Bits()
	})
	if n < 0 {
		if state == arp.ClaimReleased {
			return list
		}
		a := addressOf(c.Address(), false)
		a.Tentative, a.DADFailed = true, state == arp.ClaimRefused
		list, n = append(list, a), len(list)
	}
	list[n].ACD = state.String()
	if life := c.Lifetime(); life.Dynamic { // otherwise as the address was added
		list[n].Dynamic, list[n].ValidUntil, list[n].PreferredUntil = true, life.Valid.Round(0), life.Preferred.Round(0)
	}
	return list
}

// LinkChange says what `link set` changes; what is nil stays.
type LinkChange struct {
	Dev     string     `json:"dev"`
	Up      *bool      `json:"up,omitempty"`
	Carrier *bool      `json:"carrier,omitempty"`
	Address *link.Addr `json:"address,omitempty"`
	MTU     *int       `json:"mtu,omitempty"`
	ARP     *bool      `json:"arp,omitempty"`
}

func (s *Server) linkSet(r *http.Request) (any, error) {
	var c LinkChange
	if err := decode(r, &c); err != nil {
		return nil, err
	}
	if _, err := s.dev(c.Dev); err != nil {
		return nil, err
	}
	var err error
	if c.MTU != nil {
		if err = s.host.SetMTU(c.Dev, *c.MTU); errno(err) == syscall.EINVAL {
			err = &ipv4.Refusal{Errno: syscall.EINVAL, Words: "mtu greater than device maximum"}
			if *c.MTU < ipv4.MinMTU {
				err = &ipv4.Refusal{Errno: syscall.EINVAL, Words: "mtu less than device minimum"}
			}
		}
	}
	if err == nil && c.Address != nil {
		err = s.host.SetLLAddr(c.Dev, *c.Address)
	}
	if err == nil && c.ARP != nil {
		err = s.host.SetARP(c.Dev, *c.ARP)
	}
	if err == nil && c.Carrier != nil {
		err = s.host.SetCarrier(c.Dev, *c.Carrier)
	}
	if err == nil && c.Up != nil {
		err = s.host.SetUp(c.Dev, *c.Up)
	}
	if err != nil {
		return nil, refused(err, "device %s", c.Dev)
	}
	if c.Address != nil {
		// Nobody else tells of this.
		if list, err := s.links(c.Dev); err == nil {
			s.linkEvents.publish(LinkEvent{Time: s.host.IPv4().Now(), Link: list[0]})
		}
	}
	return struct{}{}, nil
}
