package tcp

import "time"

// rtt is the round-trip time estimator of RFC 6298 section 2.
type rtt struct {
	srtt, rttvar time.Duration // srtt 0: no sample yet
	latest, min  time.Duration // min is of the last minutes
	minAt        time.Duration // when it was measured, since the connection's epoch
}

// minRTTWindow is for how long the least round trip is believed
// (tcp_min_rtt_wlen): paths change.
const minRTTWindow = 5 * time.Minute

// update takes in a sample. Karn's rule, that no sample comes from a segment
// that was sent twice, is the caller's to keep. now is since the connection's
// epoch.
func (r *rtt) update(sample, now time.Duration) {
	sample = max(sample, time.Microsecond)
	r.latest = sample
	if r.min == 0 || sample <= r.min || now-r.minAt > minRTTWindow {
		r.min, r.minAt = sample, now
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
