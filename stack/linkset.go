package stack

import (
	"fmt"
	"syscall"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/devconf"
)

// change runs f on the interface called name while no other change is made. The
// error is ENODEV when there is none, or f's.
func (h *Host) change(name string, f func(i *Interface) error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := h.Interface(name)
	if i == nil {
		return fmt.Errorf("stack: interface %s: %w", name, syscall.ENODEV)
	}
	return f(i)
}

// SetUp brings the interface called name up or down. Going down removes its
// neighbours and the routes that need it; coming up announces its addresses
// where arp_notify says so. The error is ENODEV.
func (h *Host) SetUp(name string, up bool) error {
	announce := 0
	err := h.change(name, func(i *Interface) error {
		if i.up.Swap(up) == up {
			return nil
		}
		if up {
			announce = i.index
		} else {
			h.arp.Purge()
			h.packets.Down(i.index)
		}
		h.neighbours.SetUp(i.index, up)
		h.ip.SetUp(i.index, up)
		h.linkChangedLocked(i)
		return nil
	})
	if announce != 0 {
		h.arp.Notify(announce)
	}
	return err
}

// SetCarrier tells the host that the link of the interface called name came or
// went. Without carrier its neighbours are forgotten, unless
// arp_evict_nocarrier is off, and frames are dropped. It holds until the device
// reports a change itself. The error is ENODEV.
func (h *Host) SetCarrier(name string, on bool) error {
	return h.change(name, func(i *Interface) error {
		i.cut.Store(!on)
		h.setCarrierLocked(i, on)
		return nil
	})
}

func (h *Host) setCarrierLocked(i *Interface, on bool) {
	if i.carrier.Swap(on) != on {
		h.neighbours.SetCarrier(i.index, on, i.conf.And(devconf.ArpEvictNocarrier))
		h.ip.SetCarrier(i.index, on)
		h.linkChangedLocked(i)
	}
}

// SetLLAddr changes the hardware address of the interface called name. Its
// neighbours are forgotten; its addresses are announced where arp_notify says
// so. The errors are ENODEV, and EADDRNOTAVAIL for a group address or zero.
func (h *Host) SetLLAddr(name string, a link.Addr) error {
	if a.IsGroup() || a.IsZero() {
		return fmt.Errorf("stack: interface %s cannot have the address %s: %w", name, a, syscall.EADDRNOTAVAIL)
	}
	announce := 0
	err := h.change(name, func(i *Interface) error {
		i.addr.Store(&a)
		h.arp.SetLLAddr(i.index, a)
		h.neighbours.SetLLAddr(i.index, a)
		h.followClaimsLocked(i)
		if i.up.Load() {
			announce = i.index
		}
		return nil
	})
	if announce != 0 {
		h.arp.Notify(announce)
	}
	return err
}

// SetARP turns ARP on or off on the interface called name (IFF_NOARP): without
// it frames go to the interface's own address. The error is ENODEV.
func (h *Host) SetARP(name string, on bool) error {
	return h.change(name, func(i *Interface) error {
		h.arp.SetNoARP(i.index, !on)
		h.neighbours.SetNoARP(i.index, !on)
		return nil
	})
}

// SetMTU changes the longest packet in bytes that the interface called name
// carries. It cannot exceed what its device carries. The errors are ENODEV and
// EINVAL.
func (h *Host) SetMTU(name string, mtu int) error {
	return h.change(name, func(i *Interface) error {
		if most := i.dev.MTU(); mtu > most {
			return fmt.Errorf("stack: interface %s: mtu %d is more than the device's %d: %w", name, mtu, most, syscall.EINVAL)
		}
		if err := h.ip.SetMTU(i.index, mtu); err != nil {
			return err
		}
		i.mtu.Store(int64(mtu))
		return nil
	})
}
