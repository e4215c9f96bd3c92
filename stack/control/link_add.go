package control

import (
	"errors"
	"net/http"
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack"
)

// LinkRequest describes an interface that is to be made.
type LinkRequest struct {
	Name    string       `json:"name"`
	Type    string       `json:"type,omitempty"`   // tap, which is the default
	Address link.Addr    `json:"address,omitzero"` // default: random
	MTU     int          `json:"mtu,omitempty"`    // default: the device's
	Peer    netip.Prefix `json:"peer,omitzero"`    // an address for the kernel's side
	DHCP    bool         `json:"dhcp,omitempty"`   // ask DHCP servers for an address
}

func (s *Server) linkAdd(r *http.Request) (any, error) {
	var l LinkRequest
	if err := decode(r, &l); err != nil {
		return nil, err
	}
	switch {
	case l.Type != "" && l.Type != "tap":
		return nil, invalid("control: link type %q: there is only tap", l.Type)
	case s.cfg.OpenLink == nil:
		return nil, fail(syscall.EOPNOTSUPP, "device %s", l.Name)
	case l.DHCP && s.cfg.StartDHCP == nil:
		return nil, fail(syscall.EOPNOTSUPP, "device %s: addr dhcp", l.Name)
	case s.host.Interface(l.Name) != nil: // before a device is opened that is open
		return nil, fail(syscall.EEXIST, "device %s", l.Name)
	}
	dev, err := s.cfg.OpenLink(l)
	if err != nil {
		return nil, &Error{Text: err.Error(), Errno: errno(err)} // it says what to do
	}
	if _, err := s.host.AddInterface(stack.InterfaceConfig{Name: l.Name, Device: dev}); err != nil {
		return nil, fail(err, "device %s", l.Name)
	}
	if l.DHCP {
		if err := s.cfg.StartDHCP(l.Name); err != nil {
			return nil, fail(errors.Join(err, s.host.RemoveInterface(l.Name)), "device %s: addr dhcp", l.Name)
		}
	}
	return struct{}{}, nil
}

// LinkName names an interface.
type LinkName struct {
	Dev string `json:"dev"`
}

func (s *Server) linkDelete(r *http.Request) (any, error) {
	var l LinkName
	if err := decode(r, &l); err != nil {
		return nil, err
	}
	i, err := s.dev(l.Dev)
	if err != nil {
		return nil, err
	}
	if i.Loopback() {
		return nil, fail(syscall.EOPNOTSUPP, "device %s", l.Dev)
	}
	if s.cfg.StopDHCP != nil {
		s.cfg.StopDHCP(l.Dev)
	}
	if err := s.host.RemoveInterface(l.Dev); err != nil {
		return nil, fail(err, "device %s", l.Dev)
	}
	return struct{}{}, nil
}
