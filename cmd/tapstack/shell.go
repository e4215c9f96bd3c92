package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/stack/control"
)

func (c *cli) shellCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "shell [-- CMD [ARG]...]",
		Short: "Start a shell in which ip, sysctl, ping and others are the host's",
		Long: `Start $SHELL, or CMD, with a PATH that begins with ip, sysctl, ping, arping, ss, nstat
and nc: this program under those names, acting on the host that --control or
$TAPSTACK_CONTROL selects. They take the tools' own command lines and print what
the tools print, so that scripts written for a network namespace run as they are,
as far as what they ask for exists here; where it does not, one line says so.

The exit code is that of the shell or of CMD: 127 when there is no such command,
128 and the signal's number when one ended it. Shells may be nested. What resets
PATH, such as sudo or a login shell, leaves the host behind.`,
		Example: `  tapstack shell
  tapstack shell -- ip neigh
  tapstack shell -- sh -c 'ping -c 1 10.0.0.1 && ip -s neigh'
  tapstack shell -- ./script-for-a-namespace.sh`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.shell(cmd.Context(), applets(cmd.Root()), args)
		},
	}
	cmd.Flags().SetInterspersed(false)
	return cmd
}

// shell runs args, or a shell when there are none, with the applets called names
// in front of everything else.
func (c *cli) shell(ctx context.Context, names, args []string) error {
	var s control.Status
	client := c.client()
	defer client.Close()
	if err := client.Get(ctx, "status", nil, &s); err != nil {
		return err
	}
	path, err := filepath.Abs(c.control)
	if err != nil {
		return fmt.Errorf("shell: %w", err)
	}
	// From here on a signal must not end this program before it has tidied up.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	defer signal.Stop(signals)

	dir, err := linkApplets(names)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	env := shellEnv{dir: dir, path: dir, prompt: "[" + hostLabel(s) + "] "}
	if old := c.getenv("PATH"); old != "" {
		env.path += string(filepath.ListSeparator) + old
	}
	var extra []string
	if len(args) == 0 {
		shell := c.getenv("SHELL")
		if shell == "" {
			shell = "/bin/sh"
		}
		if args, extra, err = env.interactive(shell, c.getenv); err != nil {
			return err
		}
	}
	cmd := &exec.Cmd{
		Args: args, Stdin: c.in, Stdout: c.out, Stderr: c.err,
		Env: append(append(os.Environ(), "PATH="+env.path, "TAPSTACK_CONTROL="+path), extra...),
	}
	if cmd.Path, err = lookPath(args[0], env.path); err != nil {
		fmt.Fprintf(c.err, "Error: shell: %s: %v\n", args[0], err)
		if errors.Is(err, os.ErrPermission) {
			return &silentError{126}
		}
		return &silentError{127}
	}
	if err := cmd.Start(); err != nil {
		fmt.Fprintf(c.err, "Error: shell: %v\n", err)
		return &silentError{126}
	}
	return waitPassing(cmd, signals)
}

// waitPassing waits for a command that has been started and hands it the signals
// that it has not got from the terminal.
func waitPassing(cmd *exec.Cmd, signals <-chan os.Signal) error {
	ended := make(chan struct{})
	passed := make(chan struct{})
	go func() {
		defer close(passed)
		for {
			select {
			case s := <-signals:
				if (s == syscall.SIGINT || s == syscall.SIGQUIT) && foreground() {
					continue // the terminal has sent it to the whole group
				}
				cmd.Process.Signal(s)
				if s == syscall.SIGTERM {
					// An interactive shell ignores SIGTERM, and takes this for its
					// terminal being gone.
					cmd.Process.Signal(syscall.SIGHUP)
				}
			case <-ended:
				return
			}
		}
	}()
	err := cmd.Wait()
	close(ended)
	<-passed
	var exited *exec.ExitError
	if err != nil && !errors.As(err, &exited) {
		return fmt.Errorf("shell: %w", err)
	}
	if st, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && st.Signaled() {
		return &silentError{128 + int(st.Signal())}
	}
	if code := cmd.ProcessState.ExitCode(); code != 0 {
		return &silentError{code}
	}
	return nil
}

// foreground reports whether this process is in the terminal's foreground group.
func foreground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// linkApplets makes a private directory with a link to this program for each name.
func linkApplets(names []string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("shell: %w", err)
	}
	dir, err := os.MkdirTemp("", "tapstack-shell-")
	if err != nil {
		return "", fmt.Errorf("shell: %w", err)
	}
	for _, name := range names {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			os.RemoveAll(dir)
			return "", fmt.Errorf("shell: %w", err)
		}
	}
	return dir, nil
}

// lookPath finds a command in path, as execvp does.
func lookPath(name, path string) (string, error) {
	if strings.Contains(name, "/") {
		return name, executable(name)
	}
	err := error(os.ErrNotExist)
	for _, dir := range filepath.SplitList(path) {
		if dir == "" {
			dir = "."
		}
		file := filepath.Join(dir, name)
		if !strings.Contains(file, "/") {
			file = "./" + file
		}
		e := executable(file)
		if e == nil {
			return file, nil
		}
		if errors.Is(e, os.ErrPermission) {
			err = e
		}
	}
	if errors.Is(err, os.ErrPermission) {
		return "", err
	}
	return "", errors.New("command not found")
}

func executable(file string) error {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return errors.New("command not found")
	case err != nil:
		return err
	case info.IsDir() || info.Mode()&0o111 == 0:
		return os.ErrPermission
	}
	return nil
}

// hostLabel is what the prompt calls a host: its name and its first address.
func hostLabel(s control.Status) string {
	for _, l := range s.Links {
		for _, a := range l.Addresses {
			if l.Name != "lo" {
				return s.Name + " " + a.Local.String()
			}
		}
	}
	return s.Name
}
