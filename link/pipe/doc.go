// Package pipe joins hosts in memory: New makes a cable with two ends, Loopback
// a device that hears itself, and LAN a switch or a hub with any number of
// ports.
//
// The devices are built on channels, so they work in testing/synctest bubbles,
// and they behave like network cards: Write never blocks and frames that find a
// full queue are lost. No lock is held while a frame is handed over.
package pipe
