package tcp

import "time"

// Constants of RFC 9406 section 4.3.
const (
	hystartMinThresh = 4 * time.Millisecond  // MIN_RTT_THRESH
	hystartMaxThresh = 16 * time.Millisecond // MAX_RTT_THRESH
	hystartDivisor   = 8                     // MIN_RTT_DIVISOR
	hystartSamples   = 8                     // N_RTT_SAMPLE
	cssGrowthDivisor = 4
	cssRounds        = 5
)

// hystart is HyStart++ (RFC 9406): slow start that ends when round trips grow
// longer, before it has filled a queue and lost half of it. A first sign leads to
// conservative slow start (CSS), which either sees them shorter again, and takes
// it back, or ends slow start after five rounds.
//
// Super-segments and receivers that merge what arrives leave few ACKs, each of
// many segments: one ACK counts as the samples that delayed ACKs (RFC 5681 section
// 4.2, one for two segments) would have been, else no round would ever have eight.
// The growth of a round is not limited to eight segments an ACK either (L of
// section 4.2 is infinite): what left in one burst was paced by the ACK clock of
// the round before.
type hystart struct {
	end      Seq    // windowEnd: the round is over when it is acknowledged
	last     uint32 // lastRoundMinRTT in microseconds, 0: infinity
	current  uint32 // currentRoundMinRTT
	baseline uint32 // cssBaselineMinRtt
	samples  uint8  // rttSampleCount, up to hystartSamples
	css      uint8  // rounds of CSS that are left, 0: slow start proper
	running  bool   // a round has begun
}

// acked takes in an ACK in the first slow start of a connection. It returns by how
// many bytes the window grows, and whether slow start ends.
func (h *hystart) acked(a acknowledgement) (grow int, leave bool) {
	if !h.running {
		h.running, h.end = true, a.nxt
	}
	if a.sample > 0 {
		us := uint32(min(max(a.sample/time.Microsecond, 1), 1<<31))
		if h.current == 0 || us < h.current {
			h.current = us
		}
		h.samples += uint8(min(max(a.segments/2, 1), hystartSamples-int(h.samples)))
	}
	grow = a.bytes
	if h.css > 0 {
		grow /= cssGrowthDivisor
	}
	if h.samples == hystartSamples {
		switch {
		case h.css > 0 && h.current < h.baseline:
			h.css, h.baseline = 0, 0 // it was no queue: slow start goes on
		case h.css == 0 && h.last > 0 && h.current >= h.last+h.threshold():
			h.css, h.baseline = cssRounds, h.current
		}
	}
	if h.end.LessEq(a.una) {
		h.end, h.last, h.current, h.samples = a.nxt, h.current, 0, 0
		// "If the transition into CSS happens in the middle of a round, that
		// partial round counts."
		if h.css > 0 {
			h.css--
			leave = h.css == 0
		}
	}
	return grow, leave
}

// threshold is RttThresh: the growth of the round trip that counts.
func (h *hystart) threshold() uint32 {
	last := time.Duration(h.last) * time.Microsecond
	return uint32(min(max(last/hystartDivisor, hystartMinThresh), hystartMaxThresh) / time.Microsecond)
}
