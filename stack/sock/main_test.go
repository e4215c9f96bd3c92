package sock

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tapstack/tapstack/stack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client drives a Process.
type client struct {
	t        testing.TB
	requests chan *Request
	ended    chan struct{}

	mu      sync.Mutex
	next    int
	replies map[string]chan *Reply
}

func newClient(t testing.TB, h *stack.Host) *client {
	c := &client{t: t, requests: make(chan *Request), ended: make(chan struct{}), replies: make(map[string]chan *Reply)}
	p := New(Config{IPv4: h.IPv4(), ICMP: h.ICMP(), UDP: h.UDP(), TCP: h.TCP(), Interface: func(name string) int {
		if i := h.Interface(name); i != nil {
			return i.Index()
		}
		return 0
	}}, c.reply)
	go func() {
		defer close(c.ended)
		p.Run(context.Background(), c.requests)
	}()
	t.Cleanup(c.close)
	return c
}

func (c *client) reply(r *Reply) {
	c.mu.Lock()
	ch := c.replies[string(r.ID)]
	c.mu.Unlock()
	ch <- r
}

// close is the end of the process.
func (c *client) close() {
	if c.requests != nil {
		close(c.requests)
		<-c.ended
		c.requests = nil
	}
}

// begin sends a request and returns where the reply will come.
func (c *client) begin(request string) <-chan *Reply {
	c.mu.Lock()
	c.next++
	r := ParseRequest([]byte(request))
	r.ID = json.RawMessage(fmt.Sprint(c.next))
	ch := make(chan *Reply, 1)
	c.replies[string(r.ID)] = ch
	c.mu.Unlock()
	c.requests <- r
	return ch
}

// do sends a request and returns the reply.
func (c *client) do(format string, args ...any) *Reply {
	c.t.Helper()
	return <-c.begin(fmt.Sprintf(format, args...))
}

// ok is do for what must work.
func (c *client) ok(format string, args ...any) *Reply {
	c.t.Helper()
	r := c.do(format, args...)
	require.True(c.t, r.OK, "%s: %v", fmt.Sprintf(format, args...), r.Errno)
	return r
}

// fails is do for what must not.
func (c *client) fails(errno string, format string, args ...any) {
	c.t.Helper()
	r := c.do(format, args...)
	require.Equal(c.t, errno, r.Errno, "%s", fmt.Sprintf(format, args...))
	require.False(c.t, r.OK)
}
