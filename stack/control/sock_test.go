package control

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/stack/sock"
)

// line is a reply as a client sees it.
type line struct {
	ID    json.RawMessage
	OK    bool
	Errno any
	FD    int
	Port  uint16
	Data  []byte
	T0    int64
	T1    int64
}

func TestSock(t *testing.T) {
	n := newNetwork(t)
	c := n.serve()
	l, err := n.bob.Listen("tcp", "10.0.0.2:7")
	require.NoError(t, err)
	defer l.Close()
	s, err := c.Sock(t.Context())
	require.NoError(t, err)
	defer s.Close()
	replies := json.NewDecoder(s)
	do := func(request string) (y line) {
		t.Helper()
		_, err := io.WriteString(s, request+"\n")
		require.NoError(t, err)
		require.NoError(t, replies.Decode(&y))
		return y
	}
	y := do(`{"id":1,"op":"socket","type":"stream","proto":"tcp"}`)
	require.True(t, y.OK)
	require.Equal(t, "1", string(y.ID))
	require.Equal(t, 3, y.FD)
	require.NotZero(t, y.T0)
	require.LessOrEqual(t, y.T0, y.T1)
	require.True(t, do(`{"id":2,"op":"connect","fd":3,"addr":"10.0.0.2","port":7}`).OK)
	peer, err := l.Accept()
	require.NoError(t, err)
	defer peer.Close()
	// The reply to a call that waits comes behind that to a later one.
	_, err = io.WriteString(s, `{"id":3,"op":"recv","fd":3,"len":100}`+"\n\n   \r\n")
	require.NoError(t, err)
	require.Equal(t, "4", string(do(`{"id":4,"op":"getpeername","fd":3}`).ID))
	_, err = peer.Write([]byte("hello"))
	require.NoError(t, err)
	y = line{}
	require.NoError(t, replies.Decode(&y))
	require.Equal(t, "3", string(y.ID))
	require.Equal(t, "hello", string(y.Data))
	// A line too long is one bad request, and a large one none.
	y = do(`{"id":5,"op":"hello","data":"` + strings.Repeat("A", sock.MaxLine) + `"}`)
	require.Equal(t, "EINVAL", y.Errno)
	received := make(chan int, 1)
	go func() {
		b, _ := io.ReadAll(peer)
		received <- len(b)
	}()
	y = do(`{"id":6,"op":"send","fd":3,"data":"` + strings.Repeat("AAAA", 200000) + `"}`)
	require.True(t, y.OK, y.Errno)
	require.Equal(t, "EBADF", do(`{"id":7,"op":"recv","fd":9,"len":1}`).Errno)

	// The end of requests closes everything, and then there are no more replies.
	_, err = io.WriteString(s, `{"id":8,"op":"recv","fd":3,"len":100}`+"\n"+`{"id":9,"op":"hello"}`)
	require.NoError(t, err)
	require.NoError(t, s.CloseWrite())
	require.NoError(t, replies.Decode(&y))
	require.Equal(t, "9", string(y.ID), "a last line needs no end")
	require.ErrorIs(t, replies.Decode(&y), io.EOF)
	require.Equal(t, 600000, <-received)
}

// A client that does not read is not served any more, and holds up nobody.
func TestSockClientDoesNotRead(t *testing.T) {
	n := newNetwork(t)
	c := n.serve()
	s, err := c.Sock(t.Context())
	require.NoError(t, err)
	stuck := make(chan struct{})
	go func() {
		defer close(stuck)
		w := bufio.NewWriterSize(s, 1<<16)
		for i := 0; ; i++ {
			if _, err := fmt.Fprintf(w, "{\"id\":%d,\"op\":\"hello\"}\n", i); err != nil {
				return
			}
		}
	}()
	other, err := c.Sock(t.Context())
	require.NoError(t, err)
	_, err = io.WriteString(other, `{"op":"hello"}`+"\n")
	require.NoError(t, err)
	var y line
	require.NoError(t, json.NewDecoder(other).Decode(&y))
	require.True(t, y.OK)
	require.NoError(t, other.Close())
	require.NoError(t, s.Close())
	<-stuck
}
