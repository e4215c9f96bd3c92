package control

import (
	"encoding/binary"
	"fmt"
	"io"
)

// FrameType says what a Frame of a Session carries.
type FrameType byte

// The types. Whoever reads an unknown type ends the session.
const (
	// FrameData is a piece of a stream, or one whole datagram.
	FrameData FrameType = 1 + iota
	// FrameEnd is the end of the sender's stream.
	FrameEnd
	// FrameReady says, from the host, that the socket is connected or listens,
	// and where: a JSON Endpoints.
	FrameReady
	// FramePeer says, from the host, that a listener has somebody to talk to: a
	// JSON Endpoints.
	FramePeer
	// FrameError is a failure, from the host: a JSON Error. The session goes on
	// when the socket does.
	FrameError
	// FrameClosed says, from the host, that the connection is over; a listener
	// that keeps on will send another FramePeer.
	FrameClosed
)

// MaxFrame is the longest payload in bytes: a UDP datagram fits.
const MaxFrame = 64 << 10

// frameHeader is the type and four bytes of length, big-endian.
const frameHeader = 5

// Frame is one message of a Session.
type Frame struct {
	Type    FrameType
	Payload []byte
}

// writeFrame sends a frame in one write, through buf.
func writeFrame(w io.Writer, buf []byte, t FrameType, payload []byte) ([]byte, error) {
	if len(payload) > MaxFrame {
		return buf, fmt.Errorf("control: frame of %d bytes, longer than %d", len(payload), MaxFrame)
	}
	buf = append(buf[:0], byte(t))
	buf = binary.BigEndian.AppendUint32(buf, uint32(len(payload)))
	buf = append(buf, payload...)
	_, err := w.Write(buf)
	return buf, err
}

// readFrame reads a frame into buf, growing it as needed. The payload aliases buf
// until the next call. At the end between two frames the error is io.EOF.
func readFrame(r io.Reader, buf []byte) (Frame, []byte, error) {
	var h [frameHeader]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return Frame{}, buf, err
	}
	n := binary.BigEndian.Uint32(h[1:])
	if n > MaxFrame {
		return Frame{}, buf, fmt.Errorf("control: frame of %d bytes, longer than %d", n, MaxFrame)
	}
	if cap(buf) < int(n) {
		buf = make([]byte, n)
	}
	buf = buf[:n]
	if _, err := io.ReadFull(r, buf); err != nil {
		return Frame{}, buf, fmt.Errorf("control: frame cut short: %w", io.ErrUnexpectedEOF)
	}
	return Frame{FrameType(h[0]), buf}, buf, nil
}
