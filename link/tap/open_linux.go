package tap

import (
	"errors"
	"fmt"
	"os"

	"github.com/songgao/water"
	"golang.org/x/sys/unix"
)

const driver = "/dev/net/tun"

// found is what is known about a device before it is opened.
type found struct {
	device          // its index is 0 when there is none of that name
	persist    bool // stays without a process attached
	multiQueue bool
}

// probe finds out whether the device called name can be opened, and leaves no
// trace. It attaches for a moment by itself: the kernel's answer is the only
// certain one, and water both forgets the device's flags and leaks a descriptor
// when it fails.
func probe(nl *rtnl, name string) (found, error) {
	fd, err := unix.Open(driver, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return found{}, openError(name, err)
	}
	defer unix.Close(fd)

	var f found
	if name != "" {
		f.device, err = nl.device(name)
		if err != nil && !errors.Is(err, unix.ENODEV) {
			return found{}, fmt.Errorf("tap: looking for %s: %w", name, err)
		}
	}
	if f.index == 0 {
		// With a type that is neither TUN nor TAP the kernel checks the
		// privilege to create a device, and creates none.
		if err := setIff(fd, name, 0); !errors.Is(err, unix.EINVAL) {
			return found{}, openError(name, err)
		}
		return f, nil
	}

	// A device takes only openers that agree with it about multiple queues.
	err = setIff(fd, name, unix.IFF_TAP|unix.IFF_NO_PI)
	if errors.Is(err, unix.EINVAL) {
		f.multiQueue = true
		err = setIff(fd, name, unix.IFF_TAP|unix.IFF_NO_PI|unix.IFF_MULTI_QUEUE)
	}
	if err == nil && f.multiQueue && f.queues > 0 {
		err = unix.EBUSY // the kernel would let a second process take half of the frames
	}
	if err != nil {
		return found{}, openError(name, err)
	}
	ifr, err := unix.NewIfreq(name)
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.TUNGETIFF, ifr)
	}
	if err != nil {
		return found{}, openError(name, err)
	}
	f.persist = ifr.Uint16()&unix.IFF_PERSIST != 0
	return f, nil
}

func setIff(fd int, name string, flags uint16) error {
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return err
	}
	ifr.SetUint16(flags)
	return unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr)
}

// openWater opens the device through water: plain frames, no header in front.
// The file is non-blocking and known to the runtime's poller.
func openWater(name string, f found) (file *os.File, actual string, err error) {
	dev, err := water.New(water.Config{
		DeviceType: water.TAP,
		PlatformSpecificParams: water.PlatformSpecificParams{
			Name: name,
			// Water writes the flag in any case: repeat what was there.
			Persist:    f.persist,
			MultiQueue: f.multiQueue,
		},
	})
	if err != nil {
		return nil, "", openError(name, err)
	}
	file, ok := dev.ReadWriteCloser.(*os.File)
	if !ok {
		dev.Close()
		return nil, "", fmt.Errorf("tap: water opened %s as a %T, not a file: %w", name, dev.ReadWriteCloser, errors.ErrUnsupported)
	}
	// A process that had the device before may have left offloads on, and
	// without a header in front of frames those could not be understood.
	if err := control(file, func(fd int) error { return unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, 0) }); err != nil {
		file.Close()
		return nil, "", fmt.Errorf("tap: turning offloads of %s off: %w", dev.Name(), err)
	}
	return file, dev.Name(), nil
}

// control calls f with the descriptor of file.
func control(file *os.File, f func(fd int) error) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	return errors.Join(raw.Control(func(fd uintptr) { err = f(int(fd)) }), err)
}

// openError says in words why a device could not be opened, and what to do.
func openError(name string, err error) error {
	if name == "" {
		name = "a new device"
	}
	switch {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("tap: %s is in use by another process; stop it or choose another name: %w", name, err)
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("tap: %s exists and is not a TAP device; choose another name: %w", name, err)
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("tap: no permission to open %s; be root or have CAP_NET_ADMIN: %w", name, err)
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		return fmt.Errorf("tap: no TUN/TAP driver at %s; run `modprobe tun`, or give the container that device: %w", driver, err)
	}
	return fmt.Errorf("tap: opening %s: %w", name, err)
}
