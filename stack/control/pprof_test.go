package control

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"runtime"
	"runtime/pprof"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// unpack returns a profile's content: a gzip file of a protocol buffer, whose
// strings can be read.
func unpack(t *testing.T, b []byte) string {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(b))
	require.NoError(t, err)
	text, err := io.ReadAll(z)
	require.NoError(t, err)
	return string(text)
}

func TestProfiles(t *testing.T) {
	c := newNetwork(t).serve()
	for name, want := range map[string]string{
		"cpu": "nanoseconds", "heap": "inuse_space", "allocs": "alloc_space", "goroutine": "goroutine", "mutex": "contentions", "block": "delay",
	} {
		t.Run(name, func(t *testing.T) {
			r := ProfileRequest{Name: name}
			if r.Timed() {
				r.Duration = 50 * time.Millisecond
			}
			var b bytes.Buffer
			require.NoError(t, c.Profile(t.Context(), r, &b))
			require.Contains(t, unpack(t, b.Bytes()), want)
		})
	}
	require.Zero(t, runtime.SetMutexProfileFraction(-1), "what was turned on for a profile is off again")
}

func TestBlockProfileShowsWhoWaited(t *testing.T) {
	c := newNetwork(t).serve()
	stop := make(chan struct{})
	var waiting sync.WaitGroup
	waiting.Go(func() { ticker(stop) })
	var b bytes.Buffer
	err := c.Profile(t.Context(), ProfileRequest{Name: "block", Duration: 100 * time.Millisecond}, &b)
	close(stop)
	waiting.Wait()
	require.NoError(t, err)
	require.Contains(t, unpack(t, b.Bytes()), "control.ticker")
}

// ticker waits a little over and over.
func ticker(stop chan struct{}) {
	t := time.NewTicker(time.Millisecond)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-stop:
			return
		}
	}
}

func TestProfileRequestsThatMakeNoSense(t *testing.T) {
	n := newNetwork(t)
	for _, r := range []ProfileRequest{
		{}, {Name: "foo"}, {Name: "threadcreate"}, {Name: "cpu"}, {Name: "cpu", Duration: -1}, {Name: "cpu", Duration: MaxProfile + 1},
		{Name: "mutex"}, {Name: "block"}, {Name: "heap", Duration: time.Second}, {Name: "goroutine", Duration: 1},
	} {
		rec := n.do(http.MethodPost, "pprof", r)
		require.Equal(t, http.StatusBadRequest, rec.Code, "%+v: %s", r, rec.Body)
	}
	require.Equal(t, http.StatusMethodNotAllowed, n.do(http.MethodGet, "pprof", nil).Code)
}

// The process has one profiler of each kind.
func TestTwoProfilesAtOnce(t *testing.T) {
	n := newNetwork(t)
	c := n.serve()
	for _, name := range timedProfiles() {
		ctx, cancel := context.WithCancel(t.Context())
		first := make(chan error, 1)
		go func() { first <- c.Profile(ctx, ProfileRequest{Name: name, Duration: time.Minute}, io.Discard) }()
		require.Eventually(t, func() bool {
			n.srv.profiling.mu.Lock()
			defer n.srv.profiling.mu.Unlock()
			return n.srv.profiling.busy[name]
		}, 5*time.Second, time.Millisecond)

		err := c.Profile(t.Context(), ProfileRequest{Name: name, Duration: time.Millisecond}, io.Discard)
		require.ErrorIs(t, err, syscall.EBUSY)
		require.EqualError(t, err, "pprof: a "+name+" profile is being taken already; try again when it is done")
		require.NoError(t, c.Profile(t.Context(), ProfileRequest{Name: "heap"}, io.Discard), "others are free")

		cancel() // the client leaves
		require.ErrorIs(t, <-first, context.Canceled)
		require.Eventually(t, func() bool {
			return c.Profile(t.Context(), ProfileRequest{Name: name, Duration: time.Millisecond}, io.Discard) == nil
		}, 5*time.Second, time.Millisecond, "the profiler is free again")
	}
}

func TestCPUProfileOfTheProcessItself(t *testing.T) {
	c := newNetwork(t).serve()
	require.NoError(t, pprof.StartCPUProfile(io.Discard))
	defer pprof.StopCPUProfile()
	err := c.Profile(t.Context(), ProfileRequest{Name: "cpu", Duration: time.Millisecond}, io.Discard)
	require.ErrorIs(t, err, syscall.EBUSY)
}

func TestCloseEndsAProfile(t *testing.T) {
	n := newNetwork(t)
	done := make(chan error, 1)
	go func() {
		ctx, cancel := n.srv.untilClosed(context.Background())
		defer cancel()
		done <- n.srv.profile(ctx, ProfileRequest{Name: "cpu", Duration: time.Hour}, io.Discard)
	}()
	n.srv.Close()
	require.ErrorIs(t, <-done, syscall.EINTR)
}
