package udp

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// network is what net calls it, in errors and addresses.
const network = "udp"

// udpAddr returns a's shape in package net, nil for none.
func udpAddr(a netip.AddrPort) net.Addr {
	if !a.IsValid() {
		return nil
	}
	return net.UDPAddrFromAddrPort(a)
}

// opError wraps err as package net does: an errno in the system call that would
// have returned it, everything in a *net.OpError.
func opError(op, call string, source, addr netip.AddrPort, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = os.NewSyscallError(call, errno)
	}
	return &net.OpError{Op: op, Net: network, Source: udpAddr(source), Addr: udpAddr(addr), Err: err}
}
