package main

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/stack"
	"github.com/tapstack/tapstack/stack/control"
)

// controlled runs a host without links, and returns the path of its socket.
func controlled(t *testing.T) string {
	t.Helper()
	h, err := stack.New(stack.Config{})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "c.sock")
	l, err := control.Listen(path)
	require.NoError(t, err)
	srv := control.New(h, control.Config{Path: path})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Close()
		require.ErrorIs(t, <-served, http.ErrServerClosed)
		require.NoError(t, h.Close())
	})
	return path
}

const gzipMagic = "\x1f\x8b"

func TestPprofWritesAProfile(t *testing.T) {
	sock := controlled(t)
	file := filepath.Join(t.TempDir(), "p")
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("older and longer ", 1<<16)), 0o600))
	code, out, errs := try(t, "--control", sock, "pprof", "heap", "-o", file)
	require.Zero(t, code, errs)
	require.Empty(t, out+errs)
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.True(t, strings.HasPrefix(string(b), gzipMagic))
	require.NotContains(t, string(b), "older", "what was there is gone")

	code, out, errs = try(t, "--control", sock, "pprof", "cpu", "--seconds", "1", "-o", "-")
	require.Zero(t, code, errs)
	require.True(t, strings.HasPrefix(out, gzipMagic))

	code, _, errs = try(t, "--control", sock, "pprof", "goroutine", "-o", os.DevNull)
	require.Zero(t, code, errs)
	info, err := os.Stat(os.DevNull)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&os.ModeDevice, "a device stays one")
}

// What fails leaves files as they were.
func TestPprofFailures(t *testing.T) {
	dir := t.TempDir()
	file, old := filepath.Join(dir, "new"), filepath.Join(dir, "old")
	require.NoError(t, os.WriteFile(old, []byte("old"), 0o600))
	for _, f := range []string{file, old} {
		code, _, errs := try(t, "pprof", "heap", "-o", f)
		require.Equal(t, exitNoHost, code, errs)
	}
	require.NoFileExists(t, file)
	b, err := os.ReadFile(old)
	require.NoError(t, err)
	require.Equal(t, "old", string(b))

	sock := controlled(t)
	code, _, errs := try(t, "--control", sock, "pprof", "cpu", "-o", filepath.Join(dir, "nowhere", "p"))
	require.Equal(t, exitFailed, code)
	require.Contains(t, errs, "no such file or directory")
	require.Equal(t, 1, strings.Count(errs, "\n"), errs)

	// Ctrl-C, as run sees it.
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	c := &cli{control: sock, getenv: os.Getenv}
	err = c.pprof(ctx, control.ProfileRequest{Name: "cpu", Duration: time.Minute}, file)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.NoFileExists(t, file)
}

func TestPprofCompletion(t *testing.T) {
	code, out, errs := try(t, "__complete", "pprof", "")
	require.Zero(t, code, errs)
	require.Equal(t, append(append([]string{}, control.Profiles...), ":4"), strings.Fields(out))
}
