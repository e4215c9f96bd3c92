package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

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
type usageError struct {
	text string
	ip   string // what iproute2 says about it, "" where it would not mind
	code int    // that iproute2 ends with
}

func (e *usageError) Error() string { return e.text }

func usage(format string, args ...any) error { return &usageError{text: fmt.Sprintf(format, args...)} }

// usageAs is a usage error in iproute2's words, to be seen by who calls it ip.
func usageAs(code int, format string, args ...any) error {
	text := fmt.Sprintf(format, args...)
	return &usageError{text: text, ip: text, code: code}
}

// as adds to a usage error what iproute2 says about the same thing.
func as(err error, code int, format string, args ...any) error {
	if u, ok := err.(*usageError); ok {
		return &usageError{u.text, fmt.Sprintf(format, args...), code}
	}
	return err
}

// errIncomplete is iproute2's complaint about a word that wants another one.
func errIncomplete() error {
	return usageAs(ipUsage, `Command line is not complete. Try option "help"`)
}

// errnoOf returns the errno within err, 0 for none.
func errnoOf(err error) syscall.Errno {
	var no syscall.Errno
	if errors.As(err, &no) {
		return no
	}
	return 0
}

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
