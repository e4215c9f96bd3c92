//go:build race

package ipv4

// raceEnabled says that sync.Pool drops what it gets at random, so that counts
// of allocations mean nothing.
const raceEnabled = true
