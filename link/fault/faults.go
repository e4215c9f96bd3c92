package fault

import (
	"encoding/binary"
	"math/rand/v2"
	"time"

	"github.com/tapstack/tapstack/link"
)

// DefaultReorderDelay is how long a reordered frame is held back.
const DefaultReorderDelay = 10 * time.Millisecond

// Faults is what happens to the frames of one direction. The rates are
// probabilities from 0 to 1, drawn independently for each frame. The zero value
// lets everything pass untouched.
type Faults struct {
	// Loss is the rate of frames that vanish.
	Loss float64
	// Duplicate is the rate of frames that arrive twice, one right behind the
	// other.
	Duplicate float64
	// Reorder is the rate of frames that are held back for ReorderDelay, so
	// that later ones overtake them.
	Reorder float64
	// ReorderDelay is 0 for DefaultReorderDelay.
	ReorderDelay time.Duration
	// Corrupt is the rate of frames in which one bit, anywhere from the first
	// byte of the Ethernet header to the last of the payload, is inverted.
	Corrupt float64
	// Delay is how long each frame takes, and Jitter how much that varies: a
	// frame takes from Delay-Jitter to Delay+Jitter, evenly distributed, and
	// never less than nothing. Neither of them changes the order of frames.
	Delay, Jitter time.Duration
	// Match limits all of this to the frames for which it returns true; nil
	// means every frame. It borrows the frame, and may be called concurrently.
	Match func(frame []byte) bool
}

// fate is what was drawn for one frame.
type fate struct {
	lost, duplicated, reordered bool
	bit                         int // to be inverted, -1 for none
	delay                       time.Duration
}

// draw decides about a frame of n bytes. A rate of zero draws nothing, so that
// faults can be added to one direction without changing the others' sequence.
func (f *Faults) draw(r *rand.Rand, n int) fate {
	hit := func(rate float64) bool { return rate > 0 && r.Float64() < rate }
	d := fate{bit: -1}
	if d.lost = hit(f.Loss); d.lost {
		return d
	}
	d.duplicated = hit(f.Duplicate)
	d.reordered = hit(f.Reorder)
	if n > 0 && hit(f.Corrupt) {
		d.bit = r.IntN(8 * n)
	}
	d.delay = f.Delay
	if f.Jitter > 0 {
		d.delay += time.Duration(r.Int64N(int64(2*f.Jitter)+1)) - f.Jitter
	}
	d.delay = max(d.delay, 0)
	if d.reordered {
		hold := f.ReorderDelay
		if hold == 0 {
			hold = DefaultReorderDelay
		}
		d.delay += hold
	}
	return d
}

// Broadcasts matches frames to every station.
func Broadcasts(frame []byte) bool {
	h, _, err := link.ParseEthernet(frame)
	return err == nil && h.Dst.IsBroadcast()
}

// ARPRequests matches ARP requests (RFC 826: ar_op 1).
func ARPRequests(frame []byte) bool { return arpOp(frame) == 1 }

// ARPReplies matches ARP replies (RFC 826: ar_op 2).
func ARPReplies(frame []byte) bool { return arpOp(frame) == 2 }

// arpOp returns ar_op, 0 for a frame that is not ARP.
func arpOp(frame []byte) uint16 {
	h, n, err := link.ParseEthernet(frame)
	if err != nil || h.Type != link.ARP || len(frame) < n+8 {
		return 0
	}
	return binary.BigEndian.Uint16(frame[n+6:])
}
