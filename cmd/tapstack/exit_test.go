package main

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/stack/control"
)

func TestExitCodes(t *testing.T) {
	for _, tc := range []struct {
		err  error
		code int
		line string
	}{
		{nil, 0, ""},
		{errors.New("tap: no permission to open t0"), 1, "Error: tap: no permission to open t0"},
		{&control.Error{Text: "neighbour 10.0.0.9 dev t0: file exists", Errno: syscall.EEXIST}, 1, "Error: neighbour 10.0.0.9 dev t0: file exists"},
		{&control.Error{Text: "control: \"x\" is no nud state", Invalid: true}, 2, "Error: control: \"x\" is no nud state"},
		{usage("neigh: %q is not understood", "x"), 2, "Error: neigh: \"x\" is not understood"},
		{fmt.Errorf("%w %s", control.ErrNoHost, "/run/x.sock"), 3, "Error: no running tapstack at the control socket /run/x.sock; start one with `tapstack run`, or use --control"},
		{&silentError{1}, 1, ""},
		{fmt.Errorf("neigh: %w", context.Canceled), 130, ""},
	} {
		code, line := exit(tc.err)
		require.Equal(t, tc.code, code, "%v", tc.err)
		require.Equal(t, tc.line, line)
	}
}
