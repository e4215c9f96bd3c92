package tap

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/link"
)

const (
	// scratchLen is how much of a frame is copied to the packet's own memory:
	// what with Headroom fills 2 KiB, so all of a frame of 1500 bytes.
	scratchLen = 2<<10 - link.Headroom
	// keepLarge is the size in bytes from which on a frame's rest stays in the
	// 64 KiB it was read to; a smaller one is copied to memory of its size.
	keepLarge = 32 << 10
)

// reader is readv(2) of one frame with its virtio-net header, if it has one: the
// start into scratch, the rest, if there is any, into a chunk that becomes the
// packet's body. Together they hold more than the longest frame, which a shorter
// buffer would truncate without notice. Only Read's goroutine uses it.
type reader struct {
	header  int    // length of the virtio-net header, 0 without one
	scratch []byte // header and start
	large   *link.Chunk
	iov     [2]unix.Iovec
	run     func(fd uintptr) bool
	idle    func() bool // may be nil
	n       int
	errno   unix.Errno
}

func newReader(header int) *reader {
	r := &reader{header: header, scratch: make([]byte, header+scratchLen)}
	r.iov[0].Base = &r.scratch[0]
	r.iov[0].SetLen(len(r.scratch))
	// A raw system call, as the descriptor never blocks: the runtime need not
	// find the processor other work for meanwhile.
	r.run = func(fd uintptr) bool {
		for {
			n, _, errno := unix.RawSyscall(unix.SYS_READV, fd, uintptr(unsafe.Pointer(&r.iov[0])), uintptr(len(r.iov)))
			switch errno {
			case unix.EINTR:
				continue
			case unix.EAGAIN:
				if r.idle != nil && r.idle() {
					continue
				}
				return false
			}
			r.n, r.errno = int(n), errno
			return true
		}
	}
	return r
}

// next waits for the next frame.
func (r *reader) next(raw syscall.RawConn) (*link.Packet, error) {
	for {
		if r.large == nil {
			r.large = link.NewChunk(link.MaxChunk)
			r.iov[1].Base = &r.large.Bytes()[0]
			r.iov[1].SetLen(link.MaxChunk)
		}
		if err := raw.Read(r.run); err != nil {
			r.close()
			return nil, os.ErrClosed // there is no deadline to pass
		}
		if r.errno != 0 {
			r.close()
			return nil, r.errno
		}
		if r.n >= r.header {
			return r.packet(r.n - r.header), nil
		}
	}
}

// packet makes a packet of a frame of n bytes.
func (r *reader) packet(n int) *link.Packet {
	own := min(n, scratchLen)
	p := link.NewPacketFrom(r.scratch[r.header : r.header+own])
	if rest := n - own; rest > 0 {
		from := r.large.Bytes()[:rest]
		if rest >= keepLarge {
			p.Append(r.large, from)
			r.large = nil
		} else {
			c := link.NewChunk(rest)
			p.Append(c, c.Bytes()[:copy(c.Bytes(), from)])
		}
	}
	if r.header > 0 {
		parseVnet(r.scratch[:r.header], p)
	}
	if p.GSO == link.GSONone {
		p.Linearize() // of a large MTU
	}
	return p
}

func (r *reader) close() {
	if r.large != nil {
		r.large.Release()
		r.large = nil
	}
}
