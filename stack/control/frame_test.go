package control

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFramesTravel(t *testing.T) {
	var wire bytes.Buffer
	var buf []byte
	frames := []Frame{
		{FrameData, []byte("hello")}, {FrameData, nil}, {FrameEnd, nil}, {FrameError, []byte(`{"error":"x"}`)},
		{FrameData, bytes.Repeat([]byte("x"), MaxFrame)}, {FrameClosed, nil},
	}
	for _, f := range frames {
		var err error
		buf, err = writeFrame(&wire, buf, f.Type, f.Payload)
		require.NoError(t, err)
	}
	var in []byte
	for _, want := range frames {
		var got Frame
		var err error
		got, in, err = readFrame(&wire, in)
		require.NoError(t, err)
		require.Equal(t, want.Type, got.Type)
		require.Equal(t, string(want.Payload), string(got.Payload))
	}
	_, _, err := readFrame(&wire, in)
	require.ErrorIs(t, err, io.EOF)
}

func TestFrameErrors(t *testing.T) {
	_, err := writeFrame(io.Discard, nil, FrameData, make([]byte, MaxFrame+1))
	require.ErrorContains(t, err, "longer than 65536")
	for in, want := range map[string]error{
		"":                         io.EOF,
		"\x01":                     io.ErrUnexpectedEOF,
		"\x01\x00\x00\x00":         io.ErrUnexpectedEOF,
		"\x01\x00\x00\x00\x05hell": io.ErrUnexpectedEOF,
	} {
		_, _, err := readFrame(strings.NewReader(in), nil)
		require.ErrorIs(t, err, want, "%q", in)
	}
	_, _, err = readFrame(strings.NewReader("\x01\x00\x01\x00\x01"), nil)
	require.ErrorContains(t, err, "frame of 65537 bytes")
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x05hello\x02\x00\x00\x00\x00"))
	f.Add([]byte("\xff\xff\xff\xff\xff"))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		var buf, out []byte
		var again bytes.Buffer
		for {
			var fr Frame
			var err error
			if fr, buf, err = readFrame(r, buf); err != nil {
				break
			}
			if out, err = writeFrame(&again, out, fr.Type, fr.Payload); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.HasPrefix(b, again.Bytes()) {
			t.Fatalf("%x was read as %x", b, again.Bytes())
		}
	})
}
