package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tapstack/tapstack/stack/control"
)

// The exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	exitNoHost = 3
	exitSignal = 130 // 128 and SIGINT, as a shell tells it
)

// usageError is a command line that makes no sense.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

func usage(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...)} }

// silentError ends the program with a code; what there was to say has been said.
type silentError struct{ code int }

func (e *silentError) Error() string { return fmt.Sprintf("exit status %d", e.code) }

// exit returns the code for err, and the line that tells it, "" for none.
func exit(err error) (code int, line string) {
	var (
		u      *usageError
		silent *silentError
		remote *control.Error
	)
	switch {
	case err == nil:
		return exitDone, ""
	case errors.As(err, &silent):
		return silent.code, ""
	case errors.Is(err, context.Canceled):
		return exitSignal, ""
	case errors.As(err, &u):
		return exitUsage, "Error: " + u.text
	case errors.Is(err, control.ErrNoHost):
		return exitNoHost, "Error: " + strings.TrimPrefix(err.Error(), "control: ") + "; start one with `tapstack run`, or use --control"
	case errors.As(err, &remote) && remote.Invalid:
		return exitUsage, "Error: " + remote.Text
	}
	return exitFailed, "Error: " + err.Error()
}
