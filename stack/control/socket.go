package control

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

// Listen opens the control socket at path, for its owner only. The socket of a
// process that was killed is replaced; one that a running process listens on is
// an error that is EADDRINUSE and names the process. Closing the listener removes
// the socket.
func Listen(path string) (net.Listener, error) {
	l, err := listen(path)
	if !errors.Is(err, syscall.EADDRINUSE) {
		return l, explain(path, err)
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		defer conn.Close()
		return nil, fmt.Errorf("control socket %s is in use by a running tapstack%s; use --control: %w",
			path, peer(conn), syscall.EADDRINUSE)
	}
	// Only a refused connection proves that nobody listens any more; anything
	// but a socket is not ours to remove.
	info, serr := os.Lstat(path)
	if !errors.Is(err, syscall.ECONNREFUSED) || serr != nil || info.Mode().Type() != os.ModeSocket {
		return nil, fmt.Errorf("control socket %s: the name is taken by something else; use --control: %w", path, syscall.EADDRINUSE)
	}
	if err := os.Remove(path); err != nil {
		return nil, explain(path, err)
	}
	l, err = listen(path)
	return l, explain(path, err)
}

func listen(path string) (net.Listener, error) {
	// The socket must never be open to others, not even until a chmod.
	old := syscall.Umask(0o177)
	defer syscall.Umask(old)
	return net.Listen("unix", path)
}

func explain(path string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EINVAL) && len(path) > 107:
		return fmt.Errorf("control socket %s: the path is longer than the 107 bytes that Linux allows; use --control: %w", path, syscall.ENAMETOOLONG)
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("control socket %s: there is no directory %s; use --control: %w", path, filepath.Dir(path), syscall.ENOENT)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("control socket %s: not allowed to create it; use --control: %w", path, syscall.EACCES)
	}
	return fmt.Errorf("control socket %s: %w", path, err)
}
