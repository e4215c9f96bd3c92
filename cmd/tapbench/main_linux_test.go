package main

import (
	"os"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

// TestMain is also the program that the tests' child processes run.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && slices.Contains([]string{"serve", "load"}, os.Args[1]) {
		main()
		return
	}
	goleak.VerifyTestMain(m)
}
