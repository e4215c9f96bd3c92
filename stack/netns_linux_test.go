package stack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/tap"
	"github.com/tapstack/tapstack/link/tap/taptest"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack"
)

// commandTimeout ends a command that hangs, well before the test's own time is
// up.
const commandTimeout = 9 * time.Second

// kernelHost is a network namespace in the role of a host.
type kernelHost struct {
	*taptest.Netns
	t    *testing.T
	path string // what ip(8) calls it
}

func newKernelHost(t *testing.T) *kernelHost {
	t.Helper()
	n := taptest.Namespace(t)
	f, err := os.Open("/proc/thread-self/ns/net")
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	k := &kernelHost{Netns: n, t: t, path: fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd())}
	// A new namespace copies these from the machine, which may have its own
	// idea of them.
	for name, value := range map[string]string{"forwarding": "0", "rp_filter": "0", "accept_redirects": "1", "arp_accept": "0", "arp_ignore": "0"} {
		for _, dev := range []string{"all", "default"} {
			k.sysctl("net.ipv4.conf."+dev+"."+name, value)
		}
	}
	return k
}

// command runs a command line, without any quoting, and returns its output and
// exit status. It may be called from any goroutine.
func (k *kernelHost) command(line string) (out string, status int) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	words := strings.Fields(line)
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := k.runProcess(cmd)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return b.String() + err.Error() + "\n", -1
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

// runProcess runs cmd in the namespace. Neither it nor its children outlive
// cmd's context, and it does not outlive the test's process.
func (k *kernelHost) runProcess(cmd *exec.Cmd) (err error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	// Do's thread, whose death Pdeathsig is about, lasts until Run returns.
	k.Do(func() { err = cmd.Run() })
	return err
}

// run is command for commands that must succeed, and takes fmt's verbs.
func (k *kernelHost) run(format string, args ...any) string {
	k.t.Helper()
	line := fmt.Sprintf(format, args...)
	out, status := k.command(line)
	require.Zero(k.t, status, "%s\n%s", line, out)
	return out
}

// sysctl sets a value that must exist.
func (k *kernelHost) sysctl(name, value string) {
	k.t.Helper()
	require.NoError(k.t, k.setSysctl(name, value))
}

// setSysctl writes a value; the name must have no interface with a dot in it.
func (k *kernelHost) setSysctl(name, value string) (err error) {
	k.Do(func() { err = os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0) })
	return err
}

// tap opens a TAP called name with the host's address peer on the kernel's side.
func (k *kernelHost) tap(name string, c tap.Config) *tap.Device {
	k.t.Helper()
	var d *tap.Device
	var err error
	c.Name = name
	k.Do(func() { d, err = tap.Open(c) })
	require.NoError(k.t, err)
	return d
}

// listen opens a TCP listener in the namespace.
func (k *kernelHost) listen(addr string) net.Listener {
	k.t.Helper()
	var l net.Listener
	var err error
	k.Do(func() { l, err = net.Listen("tcp4", addr) })
	require.NoError(k.t, err)
	return l
}

// addr returns the hardware address of an interface.
func (k *kernelHost) addr(dev string) string {
	k.t.Helper()
	var i *net.Interface
	var err error
	k.Do(func() { i, err = net.InterfaceByName(dev) })
	require.NoError(k.t, err)
	return i.HardwareAddr.String()
}

// neighbours returns the kernel's entries on dev, a line each, as ours does.
func (k *kernelHost) neighbours(dev string) []string {
	out, status := k.command("ip -4 -j neigh show dev " + dev)
	var entries []struct {
		Dst, LLAddr string
		State       []string
	}
	if err := json.Unmarshal([]byte(out), &entries); err != nil || status != 0 {
		return []string{fmt.Sprintf("ip neigh: status %d, %v: %s", status, err, out)}
	}
	lines := []string{}
	for _, e := range entries {
		lines = append(lines, neighbourLine(e.Dst, e.LLAddr, strings.Join(e.State, ",")))
	}
	slices.Sort(lines)
	return lines
}

// neighbours returns the entries of h on dev that `ip neigh` would show, a line
// each.
func neighbours(h *stack.Host, dev string) []string {
	lines := []string{}
	for e := range h.Neighbours().All() {
		if e.InterfaceName != dev || e.State == neighbour.NoARP {
			continue
		}
		lladdr := ""
		if e.HasLLAddr {
			lladdr = e.LLAddr.String()
		}
		lines = append(lines, neighbourLine(e.IP.String(), lladdr, e.State.String()))
	}
	slices.Sort(lines)
	return lines
}

func neighbourLine(ip, lladdr, state string) string {
	if lladdr == "" {
		return ip + " " + state
	}
	return ip + " lladdr " + lladdr + " " + state
}

// newHost returns a host without interfaces but lo, which lasts as long as the
// test.
func newHost(t *testing.T) *stack.Host {
	t.Helper()
	h, err := stack.New(stack.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}

// attach gives h an interface on dev.
func attach(t *testing.T, h *stack.Host, name string, dev link.Device, addrs ...string) *stack.Interface {
	t.Helper()
	c := stack.InterfaceConfig{Name: name, Device: dev}
	for _, a := range addrs {
		c.Addrs = append(c.Addrs, netip.MustParsePrefix(a))
	}
	i, err := h.AddInterface(c)
	require.NoError(t, err)
	return i
}

// sysctl sets values of h, given as for sysctl -w: name=value.
func sysctl(t *testing.T, h *stack.Host, assignments ...string) {
	t.Helper()
	for _, a := range assignments {
		name, value, _ := strings.Cut(a, "=")
		require.NoError(t, h.SetSysctl(name, value))
	}
}

// needTools skips the test without one of the programs.
func needTools(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		taptest.Tool(t, name)
	}
}

// segment makes br0 in k, a switch with k's own address on it.
func segment(k *kernelHost, addr string) {
	k.t.Helper()
	k.run("ip link add br0 type bridge")
	k.run("ip addr add %s dev br0", addr)
	k.run("ip link set br0 up")
}

// port connects another kernel host to the switch in k by a cable that is called
// name at both ends.
func port(k, other *kernelHost, name string) {
	k.t.Helper()
	k.run("ip link add %s type veth peer name %s netns %s", name, name, other.path)
	k.run("ip link set %s master br0 up", name)
	other.run("ip link set %s up", name)
}

// bridgedTAP opens a TAP whose kernel side is a port of the switch in k.
func bridgedTAP(k *kernelHost, name string) *tap.Device {
	k.t.Helper()
	d := k.tap(name, tap.Config{})
	k.run("ip link set %s master br0", name)
	return d
}

func mac(t *testing.T, s string) link.Addr {
	t.Helper()
	a, err := net.ParseMAC(s)
	require.NoError(t, err)
	return link.Addr(a)
}
