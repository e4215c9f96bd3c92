package neighbour

import (
	"fmt"
	"syscall"
)

// Errors of a table; each is an errno too.
var (
	// ErrNotFound: there is no such entry, and none was to be created. ENOENT.
	ErrNotFound = fmt.Errorf("neighbour: no such entry: %w", syscall.ENOENT)
	// ErrExists: there is such an entry already. EEXIST.
	ErrExists = fmt.Errorf("neighbour: entry exists: %w", syscall.EEXIST)
	// ErrTableFull: no entry could be made, gc_thresh3 is reached. ENOBUFS.
	ErrTableFull = fmt.Errorf("neighbour: table full, raise gc_thresh3: %w", syscall.ENOBUFS)
	// ErrDown: the interface is down or gone. ENETDOWN.
	ErrDown = fmt.Errorf("neighbour: interface is down: %w", syscall.ENETDOWN)
	// ErrNoInterface: no interface has that index or name. ENODEV.
	ErrNoInterface = fmt.Errorf("neighbour: no such interface: %w", syscall.ENODEV)
	// ErrAddress: not an IPv4 address. EINVAL.
	ErrAddress = fmt.Errorf("neighbour: not an IPv4 address: %w", syscall.EINVAL)
	// ErrNoLLAddr: a state that needs a link-layer address, and none is known. EINVAL.
	ErrNoLLAddr = fmt.Errorf("neighbour: no link layer address: %w", syscall.EINVAL)
	// ErrNotPermitted: only a command may change a permanent or NOARP entry. EPERM.
	ErrNotPermitted = fmt.Errorf("neighbour: entry changes by command only: %w", syscall.EPERM)
	// ErrDead: the entry has left the table. EINVAL, as in Linux.
	ErrDead = fmt.Errorf("neighbour: entry is now dead: %w", syscall.EINVAL)
	// ErrCombination: flags and state that exclude each other. EINVAL.
	ErrCombination = fmt.Errorf("neighbour: flags and state exclude each other: %w", syscall.EINVAL)
	// ErrNoSysctl: no such name. ENOENT.
	ErrNoSysctl = fmt.Errorf("neighbour: no such sysctl: %w", syscall.ENOENT)
	// ErrRange: a value that the sysctl does not take. EINVAL.
	ErrRange = fmt.Errorf("neighbour: value out of range: %w", syscall.EINVAL)
)
