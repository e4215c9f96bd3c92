package tcp

import "time"

// rtt is the round-trip time estimator of RFC 6298 section 2.
type rtt struct {
	srtt, rttvar time.Duration // srtt 0: no sample yet
	latest, min  time.Duration
}

// update takes in a sample. Karn's rule, that no sample comes from a segment
// that was sent twice, is the caller's to keep.
func (r *rtt) update(sample time.Duration) {
	sample = max(sample, time.Microsecond)
	r.latest = sample
	if r.min == 0 || sample < r.min {
		r.min = sample
	}
	if r.srtt == 0 {
		r.srtt, r.rttvar = sample, sample/2 // (2.2)
		return
	}
	// (2.3) with alpha = 1/8 and beta = 1/4.
	diff := r.srtt - sample
	if diff < 0 {
		diff = -diff
	}
	r.rttvar += (diff - r.rttvar) / 4
	r.srtt += (sample - r.srtt) / 8
}
