package tcp

import (
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// secret keys the functions that hide what an outsider must not guess.
type secret [32]byte

func newSecret(r *rand.Rand) secret {
	var s secret
	for i := 0; i < len(s); i += 8 {
		binary.LittleEndian.PutUint64(s[i:], r.Uint64())
	}
	return s
}

// What a hash is for; the purposes must not share values.
const (
	purposeISS byte = iota
	purposePort
	purposeTimestamps
	purposeCookie
	purposeCookieData
)

func (s *secret) hash(purpose byte, laddr, raddr addr, lport, rport uint16) uint64 {
	var b [len(secret{}) + 13]byte
	copy(b[:], s[:])
	n := len(s)
	b[n] = purpose
	copy(b[n+1:], laddr[:])
	copy(b[n+5:], raddr[:])
	binary.BigEndian.PutUint16(b[n+9:], lport)
	binary.BigEndian.PutUint16(b[n+11:], rport)
	sum := sha256.Sum256(b[:])
	return binary.LittleEndian.Uint64(sum[:])
}

// iss returns the initial sequence number of a connection, RFC 6528 section 3:
// ISN = M + F(connection, secret), M ticking every 4 microseconds.
func (s *secret) iss(k tuple, uptime time.Duration) Seq {
	m := uint64(uptime / (4 * time.Microsecond))
	return Seq(m + s.hash(purposeISS, k.laddr, k.raddr, k.lport, k.rport))
}

// portOffset is where the search for a free local port begins, RFC 6056 section
// 3.3.3: hidden, and different for each destination.
func (s *secret) portOffset(laddr, raddr addr, rport uint16) uint32 {
	return uint32(s.hash(purposePort, laddr, raddr, 0, rport))
}

// timestampOffset is added to the timestamp clock (RFC 7323 section 5.4). It
// depends on the two hosts only, so that timestamps grow from one connection to
// the next and prove a SYN newer than a TIME-WAIT (RFC 6191).
func (s *secret) timestampOffset(laddr, raddr addr) uint32 {
	return uint32(s.hash(purposeTimestamps, laddr, raddr, 0, 0))
}
