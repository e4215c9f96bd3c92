package icmp

import "syscall"

// errnoOf returns the errno that an error means to a socket, and whether it is
// hard: whether asking again is of no use (Linux's icmp_err_convert; RFC 1122
// section 4.2.3.9 for TCP). ok is false for errors that concern no socket.
func errnoOf(t, code uint8) (errno syscall.Errno, hard, ok bool) {
	switch t {
	case TypeUnreachable:
		table := [...]struct {
			errno syscall.Errno
			hard  bool
		}{
			0:  {syscall.ENETUNREACH, false},
			1:  {syscall.EHOSTUNREACH, false},
			2:  {syscall.ENOPROTOOPT, true},
			3:  {syscall.ECONNREFUSED, true},
			4:  {syscall.EMSGSIZE, false},
			5:  {syscall.EOPNOTSUPP, false},
			6:  {syscall.ENETUNREACH, true},
			7:  {syscall.EHOSTDOWN, true},
			8:  {errIsolated, true},
			9:  {syscall.ENETUNREACH, true},
			10: {syscall.EHOSTUNREACH, true},
			11: {syscall.ENETUNREACH, false},
			12: {syscall.EHOSTUNREACH, false},
			13: {syscall.EHOSTUNREACH, true},
			14: {syscall.EHOSTUNREACH, true},
			15: {syscall.EHOSTUNREACH, true},
		}
		if int(code) >= len(table) {
			return 0, false, false
		}
		return table[code].errno, table[code].hard, true
	case TypeTimeExceeded:
		// Code 1, a reassembly that failed, says nothing of the way there.
		return syscall.EHOSTUNREACH, false, code == 0
	case TypeParameterProblem:
		return syscall.EPROTO, true, true
	}
	return 0, false, false
}
