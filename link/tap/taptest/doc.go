// Package taptest gives tests that talk to the real kernel a network namespace
// of their own, so that they need no cleaning up and cannot disturb the machine
// or each other.
package taptest
