//go:build race

package tcp

// raceEnabled: sync.Pool forgets on purpose then.
const raceEnabled = true
