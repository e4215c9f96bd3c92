package tcp

import "time"

// pawsIdle is for how long TS.Recent proves a segment old: 24 days (RFC 7323
// section 5.5).
const pawsIdle = 24 * 24 * time.Hour

// timestamps is the state of the timestamps option (RFC 7323 sections 3 to 5).
type timestamps struct {
	ok       bool // negotiated
	epoch    *time.Time
	offset   uint32
	recent   uint32 // TS.Recent
	recentAt moment
}

// value returns the timestamp clock: milliseconds, which RFC 7323 section 5.4
// allows and Linux uses.
func (t *timestamps) value(now time.Time) uint32 {
	return uint32(now.Sub(*t.epoch)/time.Millisecond) + t.offset
}

// start takes TS.Recent from a SYN.
func (t *timestamps) start(o *Options, now time.Time) {
	t.ok, t.recent, t.recentAt = true, o.TSVal, momentOf(now, *t.epoch)
}

// old reports whether PAWS rejects the segment (RFC 7323 section 5.3, R1).
func (t *timestamps) old(o *Options, now time.Time) bool {
	return int32(o.TSVal-t.recent) < 0 && momentOf(now, *t.epoch).sub(t.recentAt) < pawsIdle
}

// note updates TS.Recent from an acceptable segment that begins at or before
// what was acknowledged last (RFC 7323 section 4.3, (2)).
// lastAck is Last.ACK.sent.
func (t *timestamps) note(o *Options, seq, lastAck Seq, now time.Time) {
	if seq.LessEq(lastAck) && int32(o.TSVal-t.recent) >= 0 {
		t.recent, t.recentAt = o.TSVal, momentOf(now, *t.epoch)
	}
}

// sample returns the round-trip time that an echoed timestamp measures; ok is
// false when it echoes nothing of ours.
func (t *timestamps) sample(ecr uint32, now time.Time) (d time.Duration, ok bool) {
	if ecr == 0 {
		return 0, false
	}
	ms := int32(t.value(now) - ecr)
	if ms < 0 {
		return 0, false
	}
	return max(time.Duration(ms)*time.Millisecond, time.Millisecond), true
}

// foreign reports whether a SYN-ACK echoes a timestamp that no SYN of ours in
// the last minutes carried.
func (t *timestamps) foreign(o *Options, now time.Time) bool {
	return o.HasTimestamps && o.TSEcr != 0 && t.value(now)-o.TSEcr > uint32(2*maxRTO/time.Millisecond)
}
