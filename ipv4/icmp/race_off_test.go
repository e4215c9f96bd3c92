//go:build !race

package icmp

const raceEnabled = false
