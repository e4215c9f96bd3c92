// Package fault wraps a device so that it loses, duplicates, reorders, delays
// and corrupts frames, each direction by its own rates, from a seed: what a
// test saw once it can see again.
//
// Delays run on a clock.Clock, so the device works in testing/synctest bubbles
// and on virtual time. No lock is held while a frame is handed over or a
// Match function runs.
package fault
