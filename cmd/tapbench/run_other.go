//go:build !linux

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// runCommands returns a command that says why there is none.
func runCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use:   "run",
		Short: "Run the end-to-end benchmark, on Linux only",
		RunE: func(*cobra.Command, []string) error {
			return errors.New("run needs Linux's TAP devices and namespaces")
		},
	}}
}
