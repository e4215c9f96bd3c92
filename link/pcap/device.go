package pcap

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack/clock"
)

// DefaultQueue is how many frames wait for the writer.
const DefaultQueue = 1024

// Config says how to record.
type Config struct {
	// Name of the interface in the file; "" leaves it out.
	Name string
	// Clock stamps frames.
	Clock clock.Clock
	// SnapLen is how many bytes of each frame are recorded; 0 for all.
	SnapLen int
	// Queue is how many frames wait for the writer; 0 for DefaultQueue.
	Queue int
	// Comment, when set, is called in the goroutine that carries the frame, and
	// what it returns is attached to the frame; "" attaches nothing. It borrows
	// the packet.
	Comment func(p *link.Packet, d Direction) string
}

// Direction says which way a frame went, seen from the host.
type Direction uint8

// Received frames come out of Read, sent ones go into Write.
const (
	Received Direction = iota
	Sent
)

// Device is a link.Device that records what passes through another one.
type Device struct {
	link.Device // inner
	cfg         Config
	missed      atomic.Uint64
	written     chan struct{} // closed when the writer has ended

	mu      sync.RWMutex // held to send on frames, and to close it
	frames  chan record
	closed  bool
	failure error // of the writer; valid once written is closed
}

// record is a copy of a frame, on its way to the file.
type record struct {
	p       *link.Packet
	length  int // of the frame, which p may hold only a part of
	at      time.Time
	dir     Direction
	comment string
}

// New wraps dev, which then belongs to the Device: Close closes it. The file
// goes to w, beginning with its header at once; the error is w's. Closing w is
// left to the caller, after Close.
func New(dev link.Device, w io.Writer, c Config) (*Device, error) {
	if c.Queue == 0 {
		c.Queue = DefaultQueue
	}
	ng, err := pcapgo.NewNgWriterInterface(w, pcapgo.NgInterface{
		Name:       c.Name,
		LinkType:   layers.LinkTypeEthernet,
		SnapLength: uint32(c.SnapLen),
	}, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "tapstack"}})
	if err == nil {
		err = ng.Flush()
	}
	if err != nil {
		return nil, fmt.Errorf("pcap: header: %w", err)
	}
	d := &Device{Device: dev, cfg: c, frames: make(chan record, c.Queue), written: make(chan struct{})}
	go d.write(ng)
	return d, nil
}

// Write takes p, records it and passes it on. The error is the inner device's.
func (d *Device) Write(p *link.Packet) error {
	d.record(p, Sent)
	return d.Device.Write(p)
}

// Read blocks for the inner device's next frame and records it.
func (d *Device) Read() (*link.Packet, error) {
	p, err := d.Device.Read()
	if err == nil {
		d.record(p, Received)
	}
	return p, err
}

// Unwrap returns the inner device.
func (d *Device) Unwrap() link.Device { return d.Device }

// Features returns the inner device's: like a capture on Linux, the file shows
// large segments in one piece and checksums that the device completes.
func (d *Device) Features() link.Features { return link.FeaturesOf(d.Device) }

// WhenIdle is for the inner device, if it can say (link.Batcher).
func (d *Device) WhenIdle(f func() bool) bool {
	b, ok := d.Device.(link.Batcher)
	return ok && b.WhenIdle(f)
}

// Missed returns how many frames passed without being recorded.
func (d *Device) Missed() uint64 { return d.missed.Load() }

// Close closes the inner device, waits until what was queued is written, and
// returns the inner device's and the writer's errors.
func (d *Device) Close() error {
	err := d.Device.Close()
	d.mu.Lock()
	if !d.closed {
		d.closed = true
		close(d.frames)
	}
	d.mu.Unlock()
	<-d.written
	return errors.Join(err, d.failure)
}

// record queues a copy of p, if there is room. Nothing here waits: the lock
// only keeps Close from closing the channel under a send.
func (d *Device) record(p *link.Packet, dir Direction) {
	r := record{length: p.Len(), at: d.cfg.Clock.Now(), dir: dir}
	if d.cfg.Comment != nil {
		r.comment = d.cfg.Comment(p, dir)
	}
	n := p.Len()
	if d.cfg.SnapLen > 0 {
		n = min(n, d.cfg.SnapLen)
	}
	r.p = link.NewPacket(n)
	p.CopyTo(r.p.Bytes())
	d.mu.RLock()
	defer d.mu.RUnlock()
	if !d.closed {
		select {
		case d.frames <- r:
			return
		default:
		}
	}
	d.missed.Add(1)
	r.p.Release()
}

// write empties the queue into ng. After an error it goes on emptying, so that
// nobody waits and no packet stays; the frames that ng still buffered count as
// missed then.
func (d *Device) write(ng *pcapgo.NgWriter) {
	defer close(d.written)
	var (
		err                error
		recorded, buffered uint64
		last               time.Time
	)
	for r := range d.frames {
		last = r.at
		if err == nil {
			err = writeFrame(ng, r)
			buffered++
			if err == nil && len(d.frames) == 0 {
				// Nothing more for now: let a live reader see it.
				if err = ng.Flush(); err == nil {
					recorded, buffered = recorded+buffered, 0
				}
			}
			if err != nil {
				d.missed.Add(buffered)
			}
		} else {
			d.missed.Add(1)
		}
		r.p.Release()
	}
	if err == nil {
		missed := d.missed.Load()
		err = cmp.Or(ng.WriteInterfaceStats(0, pcapgo.NgInterfaceStatistics{
			LastUpdate:      last,
			PacketsReceived: recorded + buffered + missed,
			PacketsDropped:  missed,
		}), ng.Flush())
	}
	if err != nil {
		d.failure = fmt.Errorf("pcap: recording stopped: %w", err)
	}
}

func writeFrame(ng *pcapgo.NgWriter, r record) error {
	flags := pcapgo.NgEpbFlags{Direction: pcapgo.NgEpbFlagDirectionInbound}
	if r.dir == Sent {
		flags.Direction = pcapgo.NgEpbFlagDirectionOutbound
	}
	opts := pcapgo.NgPacketOptions{Flags: &flags}
	if r.comment != "" {
		opts.Comments = []string{r.comment}
	}
	return ng.WritePacketWithOptions(gopacket.CaptureInfo{
		Timestamp:     r.at,
		CaptureLength: r.p.Len(),
		Length:        r.length,
	}, r.p.Bytes(), opts)
}
