package service

import (
	"encoding/binary"
	"errors"
	"io"
)

// MaxBlob is the longest blob in bytes, 1 TiB.
const MaxBlob = 1 << 40

// blob is n bytes that look random and are the same every time: eight bytes at
// offset 8i are splitmix64's i-th number, little-endian. Bytes that are lost,
// repeated or moved are noticed, and any part can be made without the rest.
type blob struct{ n, at int64 }

// Read implements io.Reader.
func (b *blob) Read(p []byte) (int, error) {
	if b.at >= b.n {
		return 0, io.EOF
	}
	if left := b.n - b.at; int64(len(p)) > left {
		p = p[:left]
	}
	n := len(p)
	if off := b.at & 7; off != 0 {
		p = p[b.part(p, int(off)):]
	}
	i := uint64(b.at / 8)
	b.at += int64(len(p) &^ 7)
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, word(i))
		p = p[8:]
		i++
	}
	b.part(p, 0)
	return n, nil
}

// part copies the word at b.at, from its byte off on, as far as it fits, and
// returns how much that is.
func (b *blob) part(p []byte, off int) int {
	var w [8]byte
	binary.LittleEndian.PutUint64(w[:], word(uint64(b.at/8)))
	k := copy(p, w[off:])
	b.at += int64(k)
	return k
}

// Seek implements io.Seeker.
func (b *blob) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += b.at
	case io.SeekEnd:
		offset += b.n
	}
	if offset < 0 {
		return 0, errors.New("blob: seek before its start")
	}
	b.at = offset
	return offset, nil
}

// word returns splitmix64's number i (Steele, Lea, Flood: Fast Splittable
// Pseudorandom Number Generators, 2014).
func word(i uint64) uint64 {
	z := (i + 1) * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
