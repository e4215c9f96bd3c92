package main

import (
	"os"
	"runtime"
)

// leaveProcessor leaves one processor to the other side of the TAPs, unless
// GOMAXPROCS says how many to use. A frame passes from the reader to the
// application and back down in goroutines that wake each other up: work for one
// thread, which the runtime spreads over all it may use. Waking a thread on a
// processor that sleeps takes longer than all the rest, and one that looks for
// work in vain takes time from the peer.
func leaveProcessor() {
	if n := runtime.GOMAXPROCS(0); n > 1 && os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(n - 1)
	}
}
