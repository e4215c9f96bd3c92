//go:build !linux

package icmp

import "syscall"

// errIsolated is what an isolated source host means to a socket: only Linux has
// an errno for it.
const errIsolated = syscall.EHOSTUNREACH
