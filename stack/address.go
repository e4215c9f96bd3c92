package stack

import (
	"fmt"
	"net/netip"
	"syscall"

	"github.com/tapstack/tapstack/ipv4"
)

// AddAddress gives the interface called dev an address. A Broadcast that is not
// set is the last address of the subnet. The errors are ENODEV, EEXIST, also for
// an address that is claimed, and EINVAL.
func (h *Host) AddAddress(dev string, a ipv4.Address) error {
	return h.setAddress(dev, a, h.ip.AddAddress)
}

// ReplaceAddress is AddAddress, but gives an address that is there the metric and
// the lifetimes of a.
func (h *Host) ReplaceAddress(dev string, a ipv4.Address) error {
	return h.setAddress(dev, a, h.ip.ReplaceAddress)
}

func (h *Host) setAddress(dev string, a ipv4.Address, set func(int, ipv4.Address) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.Interface(dev)
	if i == nil {
		return fmt.Errorf("stack: interface %s: %w", dev, syscall.ENODEV)
	}
	if h.claimLocked(i, a) != nil {
		return fmt.Errorf("stack: address %v is claimed on %s: %w", a.Prefix, dev, syscall.EEXIST)
	}
	return h.setAddressLocked(i, a, set)
}

func (h *Host) addAddressLocked(i *Interface, a ipv4.Address) error {
	return h.setAddressLocked(i, a, h.ip.AddAddress)
}

func (h *Host) setAddressLocked(i *Interface, a ipv4.Address, set func(int, ipv4.Address) error) error {
	if err := set(i.index, a); err != nil {
		return err
	}
	// From here on the values of conf/default and neigh/default no longer reach
	// the interface (Linux's ipv4_devconf_setall).
	h.conf.Addressed(i.index)
	h.neighbours.AddressAdded(i.index, broadcast(h.ip.Addresses(i.index), a))
	return nil
}

// broadcast returns the broadcast address that came with a.
func broadcast(addrs []ipv4.Address, a ipv4.Address) netip.Addr {
	for _, x := range addrs {
		if x.Prefix == a.Prefix {
			return x.Broadcast
		}
	}
	return netip.Addr{}
}

// DeleteAddress takes an address from the interface called dev, and ends a claim
// to it. With its last address the interface loses its neighbours. The errors are
// ENODEV and EADDRNOTAVAIL.
func (h *Host) DeleteAddress(dev string, a ipv4.Address) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.Interface(dev)
	if i == nil {
		return fmt.Errorf("stack: interface %s: %w", dev, syscall.ENODEV)
	}
	if c := h.claimLocked(i, a); c != nil && a.Prefix.IsValid() {
		c.releaseLocked()
		return nil
	}
	err := h.deleteAddressLocked(i, a)
	h.endClaimsLocked(i, false)
	return err
}

func (h *Host) deleteAddressLocked(i *Interface, a ipv4.Address) error {
	if err := h.ip.DeleteAddress(i.index, a.Prefix); err != nil {
		return err
	}
	if len(h.ip.Addresses(i.index)) == 0 {
		h.arp.Purge()
		h.neighbours.LastAddressRemoved(i.index)
	}
	return nil
}
