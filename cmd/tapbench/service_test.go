package main

import (
	"crypto/sha256"
	"io"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

// served is a client's end of a connection that a service handles.
func served(t *testing.T, handle func(net.Conn)) net.Conn {
	t.Helper()
	c, s := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer s.Close()
		handle(s)
	}()
	t.Cleanup(func() {
		_ = c.Close()
		<-done
	})
	return c
}

func TestEchoService(t *testing.T) {
	c := served(t, echo)
	b := make([]byte, 5)
	for range 2 {
		_, err := io.WriteString(c, "hello")
		require.NoError(t, err)
		_, err = io.ReadFull(c, b)
		require.NoError(t, err)
		require.Equal(t, "hello", string(b))
	}
}

// The source's noise is the one that its client makes for itself.
func TestSourceService(t *testing.T) {
	c := served(t, source)
	_, err := c.Write([]byte{0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0x10, 0})
	require.NoError(t, err)
	have, err := io.ReadAll(c)
	require.NoError(t, err)
	want, err := io.ReadAll(noise(7, 0x1000))
	require.NoError(t, err)
	require.Equal(t, want, have)
}

// halfClosed is a connection whose reader sees an end after what was given.
type halfClosed struct {
	net.Conn
	io.Reader
}

func (h halfClosed) Read(b []byte) (int, error) { return h.Reader.Read(b) }

func TestDigestService(t *testing.T) {
	c := served(t, func(s net.Conn) { digest(halfClosed{s, noise(7, 1000)}) })
	have, err := io.ReadAll(c)
	require.NoError(t, err)
	h := sha256.New()
	_, err = io.Copy(h, noise(7, 1000))
	require.NoError(t, err)
	require.Equal(t, h.Sum(nil), have)
}
