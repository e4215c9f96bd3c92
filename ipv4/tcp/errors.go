package tcp

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// network is what net calls it, in errors and addresses.
const network = "tcp"

// tcpAddr returns a's shape in package net.
func tcpAddr(a netip.AddrPort) *net.TCPAddr { return net.TCPAddrFromAddrPort(a) }

// opError wraps err as package net does: an errno in the system call that would
// have returned it, everything in a *net.OpError.
func opError(op, call string, source, addr netip.AddrPort, err error) error {
	var errno syscall.Errno
	switch {
	case errors.As(err, &errno):
		err = os.NewSyscallError(call, errno)
	case errors.Is(err, context.Canceled):
		err = context.Canceled
	}
	e := &net.OpError{Op: op, Net: network, Err: err}
	if source.IsValid() {
		e.Source = tcpAddr(source)
	}
	if addr.IsValid() {
		e.Addr = tcpAddr(addr)
	}
	return e
}
