package tcp

import "time"

const (
	initialRTO = time.Second            // RFC 6298 (2.1)
	minRTO     = 200 * time.Millisecond // Linux's TCP_RTO_MIN; RFC 6298 (2.4) says one second
	maxRTO     = 120 * time.Second      // Linux's TCP_RTO_MAX
	// fallbackRTO follows a handshake that lost its SYN and so measured
	// nothing (RFC 6298 (5.7)).
	fallbackRTO = 3 * time.Second
)

// rto is the retransmission timeout of RFC 6298: base comes from the estimator,
// backoff from timeouts in a row.
type rto struct {
	base    time.Duration // 0: initialRTO
	backoff int
}

// update computes the timeout from the estimator and ends the backoff (RFC
// 6298 (2.3), section 5). As in Linux the variance term, not the sum, is held
// above the minimum, so that the timeout always exceeds the round trip by it.
func (r *rto) update(e *rtt) {
	r.base = min(e.srtt+max(4*e.rttvar, minRTO), maxRTO)
	r.backoff = 0
}

// backOff doubles the timeout (5.5).
func (r *rto) backOff() { r.backoff++ }

// current returns the timeout to arm.
func (r *rto) current() time.Duration {
	base := r.base
	if base == 0 {
		base = initialRTO
	}
	return backedOff(base, r.backoff)
}

func backedOff(base time.Duration, backoff int) time.Duration {
	if backoff >= 16 {
		return maxRTO
	}
	return min(base<<backoff, maxRTO)
}
