package taptest

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/link/tap"
)

// Netns is a network namespace in which lo is up and nothing else is.
type Netns struct{ fd int }

// Namespace moves the test's goroutine, and the commands that it starts, into a
// new namespace, which goes away after the test. Other goroutines, those of
// subtests too, stay where they are: see Do. It skips the test without the
// privilege, or where there is no TAP driver.
func Namespace(t testing.TB) *Netns {
	t.Helper()
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		Skip(t, "no TAP devices here: /dev/net/tun: "+err.Error())
	}
	unix.Close(fd)
	// The goroutine stays locked for good: its thread, which is in the
	// namespace, must never run anything else, and ends with it.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		if errors.Is(err, unix.EPERM) {
			runtime.UnlockOSThread()
			Skip(t, "no network namespace: this needs root")
		}
		t.Fatalf("unshare: %v", err)
	}
	fd, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("opening the namespace: %v", err)
	}
	n := &Netns{fd: fd}
	t.Cleanup(func() { unix.Close(n.fd) })
	if err := tap.SetUp("lo", true); err != nil {
		t.Fatal(err)
	}
	return n
}

// Do runs f in the namespace, in a goroutine of its own, and returns when f has
// returned. Sockets that f opens belong to the namespace wherever they are used
// later. When f ends its goroutine, as t.FailNow does, Do ends the caller's.
func (n *Netns) Do(f func()) {
	var (
		done     = make(chan struct{})
		err      error
		returned bool
	)
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good, as in Namespace
		if err = unix.Setns(n.fd, unix.CLONE_NEWNET); err == nil {
			f()
		}
		returned = true
	}()
	<-done
	if err != nil {
		panic("taptest: entering the namespace: " + err.Error())
	}
	if !returned {
		runtime.Goexit()
	}
}
