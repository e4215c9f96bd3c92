package fault

import (
	"math/rand/v2"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
	"github.com/tapstack/tapstack/stack/random"
)

// DefaultLimit is how many frames each direction holds.
const DefaultLimit = 1000

// Config says what goes wrong. Its zero value lets everything pass untouched.
type Config struct {
	// In is for the frames that Read returns, Out for those that Write takes.
	In, Out Faults
	// Clock measures delays.
	Clock clock.Clock
	// Rand draws; nil for a secure source, whose sequence cannot be repeated.
	Rand *rand.Rand
	// Limit is how many delayed frames each direction holds, and how many
	// received ones may wait to be read; 0 for DefaultLimit.
	Limit int
}

// Device is a link.Device that misbehaves in front of another one.
type Device struct {
	inner   link.Device
	in, out line
	ready   *link.Ring
	done    chan struct{}
	err     error // inner's, from Read; set before ready is closed
}

// New wraps dev, which then belongs to the Device: Close closes it. A goroutine
// reads from dev until then.
func New(dev link.Device, c Config) *Device {
	if c.Rand == nil {
		c.Rand = random.Secure()
	}
	if c.Limit == 0 {
		c.Limit = DefaultLimit
	}
	d := &Device{inner: dev, ready: link.NewRing(c.Limit), done: make(chan struct{})}
	for _, l := range []*line{&d.in, &d.out} {
		l.clock, l.limit = c.Clock, c.Limit
		l.drained.L = &l.mu
		// A sequence of its own, so that what one direction draws does not
		// depend on the timing of the other.
		l.rand = rand.New(rand.NewPCG(c.Rand.Uint64(), c.Rand.Uint64()))
	}
	d.in.deliver, d.out.deliver = d.ready.Write, dev.Write
	d.SetIn(c.In)
	d.SetOut(c.Out)
	go d.pump()
	return d
}

// pump moves what dev receives into the line, until dev fails or is closed.
func (d *Device) pump() {
	defer close(d.done)
	for {
		p, err := d.inner.Read()
		if err != nil {
			d.err = err
			d.ready.Close()
			return
		}
		for frames := plain(p); frames.Len() > 0; {
			if d.in.send(frames.Pop()) == link.ErrQueueFull {
				d.in.mu.Lock()
				d.in.stats.Overflow++
				d.in.mu.Unlock()
			}
		}
	}
}

// plain makes frames of p as they would be on a wire, so that faults hit single
// segments, and a flipped bit is noticed. A Device has no link.Features for the
// same reason.
func plain(p *link.Packet) link.Queue {
	_, n, _ := link.ParseEthernet(p.Bytes())
	frames, ok := link.Segment(p, n)
	if !ok { // none that anybody sends
		p.Linearize()
		p.GSO = link.GSONone
		frames.Queue(p)
	}
	if frames.Len() == 1 {
		frames.Newest().Checksum = link.ChecksumUnknown
	}
	return frames
}

// SetIn replaces the faults of the receiving direction. Frames that are held
// already keep their time.
func (d *Device) SetIn(f Faults) { d.in.faults.Store(&f) }

// SetOut replaces the faults of the sending direction.
func (d *Device) SetOut(f Faults) { d.out.faults.Store(&f) }

// In returns the counts of the receiving direction.
func (d *Device) In() Stats { return d.in.snapshot() }

// Out returns the counts of the sending direction.
func (d *Device) Out() Stats { return d.out.snapshot() }

// Write takes p. The error is the inner device's for a frame that passes at
// once, and nil for one that is lost or delayed.
func (d *Device) Write(p *link.Packet) error { return d.out.send(p) }

// Read blocks for the next frame. Once the inner device has failed it returns
// that device's error, after Close net.ErrClosed.
func (d *Device) Read() (*link.Packet, error) {
	p, err := d.ready.Read()
	if err != nil {
		return nil, d.err
	}
	return p, nil
}

// Unwrap returns the inner device.
func (d *Device) Unwrap() link.Device { return d.inner }

// Addr returns the inner device's address.
func (d *Device) Addr() link.Addr { return d.inner.Addr() }

// MTU returns the inner device's MTU.
func (d *Device) MTU() int { return d.inner.MTU() }

// Close closes the inner device and drops what is held. It returns the inner
// device's error.
func (d *Device) Close() error {
	d.out.close()
	err := d.inner.Close()
	<-d.done
	d.in.close()
	d.ready.Close()
	return err
}
