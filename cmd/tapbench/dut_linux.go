package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/tapstack/tapstack/link/tap"
)

// dut is a device under test that runs: a process of this program, in a network
// namespace. The kernel's side of its link, where the clients are, is in the same
// one for what is behind a TAP; the kernel's own stack has one for itself.
type dut struct {
	name    string
	clients *netns
	own     *netns // nil behind a TAP
	cmd     *exec.Cmd
	stdin   io.Closer
	stderr  bytes.Buffer
}

// program is this program, also after its file was replaced or removed.
const program = "/proc/self/exe"

// startDUT brings a device up until it can be talked to. When ctx ends it is killed.
func startDUT(ctx context.Context, name string) (_ *dut, err error) {
	d := &dut{name: name}
	defer func() {
		if err != nil {
			d.stop()
			err = fmt.Errorf("%s: %w", name, d.explain(err))
		}
	}()
	if d.clients, err = newNetns(); err != nil {
		return nil, err
	}
	in := d.clients
	if name == linux {
		if d.own, err = newNetns(); err != nil {
			return nil, err
		}
		in = d.own
		if err := d.connect(); err != nil {
			return nil, err
		}
	}
	d.cmd = child(ctx, "serve", name)
	d.cmd.Stderr = &d.stderr
	if d.stdin, err = d.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := d.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := in.do(d.cmd.Start); err != nil {
		d.cmd = nil
		return nil, err
	}
	late := time.AfterFunc(10*time.Second, func() { _ = d.cmd.Process.Kill() })
	defer late.Stop()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		return nil, fmt.Errorf("not ready: %w", errors.Join(ctx.Err(), err))
	}
	return d, nil
}

// connect joins both namespaces by veth pairs.
func (d *dut) connect() error {
	return errors.Join(
		d.own.do(func() error {
			errs := []error{os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)}
			for _, l := range links {
				peer := "host-" + l.name
				errs = append(errs, addVeth(peer, l.name, d.clients), tap.AddAddress(peer, l.host), tap.SetUp(peer, true))
			}
			return errors.Join(errs...)
		}),
		d.clients.do(setUpKernelSide))
}

// child is this program as a process that Ctrl-C leaves to its parent, and that
// ends by itself when its standard input does.
func child(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, program, args...)
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.WaitDelay = time.Second
	return c
}

// measure runs a test's load against the device.
func (d *dut) measure(ctx context.Context, t *test, c client) (values, error) {
	// The slowest open thousands of connections or wait for what is lost.
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second+2*c.time)
	defer cancel()
	c.pid = d.cmd.Process.Pid
	load := child(ctx, append([]string{"load", t.name}, c.args()...)...)
	var out, stderr bytes.Buffer
	load.Stdout, load.Stderr = &out, &stderr
	stdin, err := load.StdinPipe()
	if err != nil {
		return nil, err
	}
	defer stdin.Close()
	if err := d.clients.do(load.Start); err != nil {
		return nil, err
	}
	if err := load.Wait(); err != nil {
		return nil, errors.Join(ctx.Err(), err, said(&stderr))
	}
	v := values{}
	return v, json.Unmarshal(out.Bytes(), &v)
}

// explain adds what the process had to say. It must have ended.
func (d *dut) explain(err error) error { return errors.Join(err, said(&d.stderr)) }

// said is the end of what a process wrote.
func said(b *bytes.Buffer) error {
	s := strings.TrimSpace(b.String())
	if s == "" {
		return nil
	}
	const enough = 2000
	return errors.New(s[max(0, len(s)-enough):])
}

// stop ends the process and gives up the namespaces, with which their devices go.
func (d *dut) stop() {
	if d.cmd != nil {
		_ = d.stdin.Close()
		_ = d.cmd.Process.Kill() // it has nothing to finish
		_ = d.cmd.Wait()         // killed, of course
	}
	d.clients.close()
	d.own.close()
}
