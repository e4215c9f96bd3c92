package control

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListenIsPrivateAndLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.sock")
	l, err := Listen(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.NoError(t, l.Close())
	_, err = os.Stat(path)
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestListenRefusesARunningHostsSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.sock")
	l, err := Listen(path)
	require.NoError(t, err)
	defer l.Close()
	_, err = Listen(path)
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.ErrorContains(t, err, fmt.Sprintf("control socket %s is in use by a running tapstack (pid %d); use --control", path, os.Getpid()))
}

// What a killed process leaves is replaced.
func TestListenReplacesAStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c.sock")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	l, err = Listen(path)
	require.NoError(t, err)
	require.NoError(t, l.Close())
}

func TestListenFailures(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, []byte("precious"), 0o600))
	_, err := Listen(file)
	require.ErrorContains(t, err, "taken by something else")
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "precious", string(b))

	_, err = Listen(filepath.Join(dir, "no", "c.sock"))
	require.ErrorIs(t, err, syscall.ENOENT)
	require.ErrorContains(t, err, "there is no directory")
	_, err = Listen(filepath.Join(dir, strings.Repeat("x", 108)))
	require.ErrorIs(t, err, syscall.ENAMETOOLONG)
}

func TestClientWithoutHost(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.Listen("unix", stale)
	require.NoError(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
	for _, path := range []string{filepath.Join(dir, "none"), stale} {
		c := NewClient(path)
		err := c.Get(context.Background(), "status", nil, &Status{})
		require.ErrorIs(t, err, ErrNoHost)
		require.ErrorContains(t, err, path)
		c.Close()
	}
}
