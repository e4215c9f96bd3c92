package icmp

import "syscall"

// errIsolated is what an isolated source host means to a socket.
const errIsolated = syscall.ENONET
