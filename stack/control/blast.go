package control

import (
	"encoding/binary"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// BlastRequest asks for one datagram to each of Count consecutive addresses,
// Repeat times over, from one socket in one loop.
type BlastRequest struct {
	Base   netip.Addr `json:"base"`
	Count  int        `json:"count"`
	Port   uint16     `json:"port"`
	Repeat int        `json:"repeat,omitempty"` // default 1
}

// BlastResult says what became of a blast.
type BlastResult struct {
	Sent         int   `json:"sent"`
	Errors       int   `json:"errors"`
	Microseconds int64 `json:"microseconds"`
}

func (s *Server) blast(r *http.Request) (any, error) {
	var b BlastRequest
	if err := decode(r, &b); err != nil {
		return nil, err
	}
	b.Repeat = max(b.Repeat, 1)
	if !b.Base.Is4() || b.Count < 1 {
		return nil, invalid("control: want an IPv4 address and a count of at least 1")
	}
	a := b.Base.As4()
	base := binary.BigEndian.Uint32(a[:])
	if uint64(base)+uint64(b.Count) > 1<<32 {
		return nil, invalid("control: %d addresses from %s go past 255.255.255.255", b.Count, b.Base)
	}
	conn, err := s.host.ListenPacket("udp4", ":0")
	if err != nil {
		return nil, fail(err, "blast")
	}
	defer conn.Close()

	var res BlastResult
	to := &net.UDPAddr{IP: make(net.IP, net.IPv4len), Port: int(b.Port)}
	payload := []byte("blast")
	start := time.Now()
	for range b.Repeat {
		for i := range b.Count {
			// The loop may run for long; a client that left ends it.
			if i&0xfff == 0xfff && r.Context().Err() != nil {
				return nil, fail(syscall.EINTR, "blast")
			}
			binary.BigEndian.PutUint32(to.IP, base+uint32(i))
			if _, err := conn.WriteTo(payload, to); err != nil {
				res.Errors++
			} else {
				res.Sent++
			}
		}
	}
	res.Microseconds = time.Since(start).Microseconds()
	return res, nil
}
