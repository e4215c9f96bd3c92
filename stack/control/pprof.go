package control

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Profiles are the names of the profiles of a running host: the time spent by the
// processors, the memory in use, all that was allocated, the goroutines, and where
// goroutines waited: for mutexes, by who held them, and for anything, by who waited.
var Profiles = []string{"cpu", "heap", "allocs", "goroutine", "mutex", "block"}

// MaxProfile is the longest time for which a profile is taken.
const MaxProfile = time.Hour

// ProfileRequest asks for a profile in pprof's format.
type ProfileRequest struct {
	Name string `json:"name"` // one of Profiles
	// Duration is how long to measure, up to MaxProfile, for a profile that is
	// Timed. The others show what there is at the moment, and take none.
	Duration time.Duration `json:"duration,omitempty"`
}

// Timed reports whether the profile is measured over a while. What is recorded of
// mutexes and blocking adds up from one measurement to the next.
func (p ProfileRequest) Timed() bool {
	return p.Name == "cpu" || p.Name == "mutex" || p.Name == "block"
}

func (p ProfileRequest) check() error {
	switch {
	case !slices.Contains(Profiles, p.Name):
		return invalid("pprof: no profile %q; there are %s", p.Name, strings.Join(Profiles, ", "))
	case p.Duration < 0 || p.Duration > MaxProfile:
		return invalid("pprof: duration %v: want at most %v", p.Duration, MaxProfile)
	case p.Timed() != (p.Duration > 0):
		return invalid("pprof: a duration goes with %s, and only there", strings.Join(timedProfiles(), ", "))
	}
	return nil
}

func timedProfiles() []string {
	return slices.DeleteFunc(slices.Clone(Profiles), func(name string) bool { return !ProfileRequest{Name: name}.Timed() })
}

// The rates at which waiting is recorded while somebody asked for it: each
// contended mutex in five, and each wait of 10 us or more (shorter ones in
// proportion).
const (
	mutexFraction = 5
	blockRate     = 10_000
)

// profiling keeps apart those who want the same of the process: the runtime has
// one profiler of each kind.
type profiling struct {
	mu   sync.Mutex
	busy map[string]bool
}

// claim reports whether the profiler was free, and is the caller's now.
func (p *profiling) claim(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy[name] {
		return false
	}
	if p.busy == nil {
		p.busy = make(map[string]bool)
	}
	p.busy[name] = true
	return true
}

func (p *profiling) free(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.busy, name)
}

// pprof answers with a profile of the process. It is complete before the answer
// begins, so that a client never has half of one.
func (s *Server) pprof(w http.ResponseWriter, r *http.Request) {
	var req ProfileRequest
	err := decode(r, &req)
	if err == nil {
		err = req.check()
	}
	if err != nil {
		writeError(w, err)
		return
	}
	ctx, cancel := s.untilClosed(r.Context())
	defer cancel()
	var b bytes.Buffer
	if err := s.profile(ctx, req, &b); err != nil {
		writeError(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(b.Bytes()) // the client has left otherwise
}

func (s *Server) profile(ctx context.Context, req ProfileRequest, w io.Writer) error {
	if req.Duration > 0 {
		if !s.profiling.claim(req.Name) {
			return &Error{Text: fmt.Sprintf("pprof: a %s profile is being taken already; try again when it is done", req.Name), Errno: syscall.EBUSY}
		}
		defer s.profiling.free(req.Name)
	}
	switch req.Name {
	case "cpu":
		if err := pprof.StartCPUProfile(w); err != nil {
			// Whoever embeds the stack has a profiler, too.
			return &Error{Text: "pprof: the process is taking a cpu profile already; try again when it is done", Errno: syscall.EBUSY}
		}
		defer pprof.StopCPUProfile() // which writes
		return wait(ctx, req.Duration)
	case "mutex":
		old := runtime.SetMutexProfileFraction(mutexFraction)
		defer runtime.SetMutexProfileFraction(old)
	case "block":
		runtime.SetBlockProfileRate(blockRate)
		defer runtime.SetBlockProfileRate(0)
	}
	if err := wait(ctx, req.Duration); err != nil {
		return err
	}
	if req.Name == "heap" {
		runtime.GC() // the profile is of the last collection
	}
	if err := pprof.Lookup(req.Name).WriteTo(w, 0); err != nil {
		return fail(err, "pprof: %s", req.Name)
	}
	return nil
}

// wait lets d pass. The error says that ctx ended.
func wait(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return fail(syscall.EINTR, "pprof")
	}
}

// Profile takes a profile of the host's process and writes it to w, in pprof's
// format, when it is complete. It takes as long as r says.
func (c *Client) Profile(ctx context.Context, r ProfileRequest, w io.Writer) error {
	body, err := c.open(ctx, http.MethodPost, "pprof", nil, r)
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(w, body); err != nil {
		return fmt.Errorf("control: profile: %w", err)
	}
	return nil
}
