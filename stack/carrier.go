package stack

import (
	"errors"
	"net"

	"github.com/tapstack/tapstack/link"
)

// carrier is what a device has whose link can come and go. Others always have
// theirs.
type carrier interface {
	// ReadCarrier blocks until the link comes or goes, and returns whether there
	// is one; to begin with there is. After Close it returns an error that is
	// net.ErrClosed.
	ReadCarrier() (on bool, err error)
}

// wrapper is what a device has that passes frames on to another one.
type wrapper interface{ Unwrap() link.Device }

// carrierOf returns what knows the link of d, nil when nothing does.
func carrierOf(d link.Device) carrier {
	for {
		if c, ok := d.(carrier); ok {
			return c
		}
		w, ok := d.(wrapper)
		if !ok {
			return nil
		}
		d = w.Unwrap()
	}
}

// carrierLoop does what the device says of its link, until it is closed.
func (i *Interface) carrierLoop(c carrier) {
	log := i.host.log.With("name", i.name)
	for {
		on, err := c.ReadCarrier()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			// What cannot be known is better taken for a link: a frame that is
			// lost is counted.
			log.Warn("interface's carrier cannot be watched any more", "err", err)
			on = true
		case on:
			log.Info("interface has carrier")
		default:
			log.Info("interface has lost its carrier")
		}
		i.carrierChanged(on)
		if err != nil {
			return
		}
	}
}

// carrierChanged is SetCarrier by the device, which ends what a command said.
func (i *Interface) carrierChanged(on bool) {
	// That the interface has been removed is no error, nor that its name is
	// another one's by now.
	_ = i.host.change(i.name, func(j *Interface) error {
		if j == i {
			if on {
				i.cut.Store(false)
			}
			i.host.setCarrierLocked(i, on)
		}
		return nil
	})
}
