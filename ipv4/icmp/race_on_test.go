//go:build race

package icmp

// raceEnabled says that sync.Pool drops what it gets at random, so that counts
// of allocations mean nothing.
const raceEnabled = true
