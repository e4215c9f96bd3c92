package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// demoOutside runs the demo in new namespaces.
func (c *cli) demoOutside(ctx context.Context) error {
	own := uintptr(syscall.CLONE_NEWNET)
	flags := []uintptr{own | syscall.CLONE_NEWUSER}
	if os.Geteuid() == 0 {
		flags = []uintptr{own, own | syscall.CLONE_NEWUSER}
	}
	var err error
	for _, f := range flags {
		cmd := exec.CommandContext(ctx, "/proc/self/exe", "demo")
		cmd.Env = append(os.Environ(), demoInside+"=1")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, c.out, c.err
		// The child ends with this process, and gets its interrupts.
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: f, Pdeathsig: syscall.SIGKILL}
		cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
		if f&syscall.CLONE_NEWUSER != 0 {
			cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}
			cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
		}
		if err = cmd.Start(); err != nil {
			continue
		}
		err = cmd.Wait()
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			return &silentError{exitFailed}
		}
		return err
	}
	return fmt.Errorf("demo: this system does not allow a new namespace (%w); run it as root, or see user.max_user_namespaces and kernel.apparmor_restrict_unprivileged_userns", err)
}
