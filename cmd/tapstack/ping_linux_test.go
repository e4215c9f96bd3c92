package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/tap/taptest"
)

// netns is a network namespace besides the program's, kept alive by a process.
type netns struct {
	t   *testing.T
	pid int
}

func newNetns(t *testing.T) *netns {
	t.Helper()
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	n := &netns{t, cmd.Process.Pid}
	n.ok("ip link set lo up")
	return n
}

// run carries out a command line in the namespace.
func (n *netns) run(line string) (code int, out, errs string) {
	n.t.Helper()
	f := strings.Fields(line)
	taptest.Tool(n.t, f[0])
	cmd := exec.Command("nsenter", append([]string{"-t", fmt.Sprint(n.pid), "-n"}, f...)...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	cmd.Run()
	return cmd.ProcessState.ExitCode(), o.String(), e.String()
}

func (n *netns) ok(line string) {
	n.t.Helper()
	code, out, errs := n.run(line)
	require.Zero(n.t, code, "%s: %s%s", line, out, errs)
}

// besides returns a namespace with the address on a cable to br0 of p.
func (p *program) besides(name, addr string) *netns {
	p.t.Helper()
	n := newNetns(p.t)
	p.system(fmt.Sprintf("ip link add %s type veth peer name eth0 netns %d", name, n.pid))
	p.system("ip link set " + name + " master br0 up")
	n.ok("ip addr add " + addr + " dev eth0")
	n.ok("ip link set eth0 up")
	return n
}

var pingTimes = []struct {
	re   *regexp.Regexp
	with string
}{
	{regexp.MustCompile(`time=[0-9.]+ ms`), "time=T ms"},
	{regexp.MustCompile(`, time \d+ms`), ", time Tms"},
	{regexp.MustCompile(`mdev = [0-9./]+ ms`), "mdev = T ms"},
	{regexp.MustCompile(`ewma [0-9./]+ ms`), "ewma T ms"},
	{regexp.MustCompile(`, pipe \d+`), ""}, // says how fast the machine is
	{regexp.MustCompile(`(?m)^\[\d+\.\d+\]`), "[T]"},
	{regexp.MustCompile(`\t-?\d+( absolute)?\n`), "\tT$1\n"},
	{regexp.MustCompile(`[.\x08 ]+\n---`), "\n---"}, // of a flood
}

func withoutTimes(s string) string {
	for _, r := range pingTimes {
		s = r.re.ReplaceAllString(s, r.with)
	}
	return s
}

// The same command line, against the same peers, once with iputils from a kernel's
// host and once with ours from this one.
func TestKernelPingComparedWithIputils(t *testing.T) {
	p := newProgram(t)
	p.system("ip link add br0 type bridge")
	p.system("ip addr add 10.0.0.1/24 dev br0")
	p.system("ip link set br0 up")
	p.system("ip tuntap add t0 mode tap")
	p.system("ip link set t0 master br0 up")
	for _, s := range []string{"net.ipv4.ip_forward=1", "net.ipv4.icmp_ratelimit=0", "net.ipv4.icmp_echo_ignore_broadcasts=0", "net.ipv4.conf.all.send_redirects=0",
		"net.ipv4.conf.br0.send_redirects=0"} {
		p.system("sysctl -qw " + s)
	}
	// Beyond the peer: a link with a smaller MTU, and networks that it refuses.
	p.system("ip link add d0 mtu 1300 type veth peer name d1 mtu 1300")
	p.system("ip addr add 10.9.0.1/24 dev d0")
	p.system("ip link set d0 up")
	p.system("ip link set d1 up")
	p.system("ip route add unreachable 10.8.1.0/24")
	p.system("ip route add prohibit 10.8.2.0/24")
	kernel := p.besides("k0", "10.0.0.3/24")
	kernel.ok("ip route add default via 10.0.0.1")
	for _, n := range []string{"net.ipv4.conf.all.accept_redirects=0"} {
		kernel.ok("sysctl -qw " + n)
	}
	p.start("--link", "name=t0,addr=10.0.0.2/24", "--route", "0.0.0.0/0,via=10.0.0.1", "--service", "none")
	p.ok("ping -c 1 10.0.0.1")
	kernel.ok("ping -c 1 10.0.0.1")

	for _, args := range []string{
		"-c 2 -i 0.1 10.0.0.1",
		"-c 1 -n -D 10.0.0.1",
		"-c 1 -s 0 10.0.0.1",
		"-c 1 -s 15 10.0.0.1",
		"-c 1 -s 16 10.0.0.1",
		"-c 1 -s 1472 -M do 10.0.0.1",
		"-c 1 -W 1 -s 1473 -M do 10.0.0.1",
		"-c 2 -i 0.1 -s 1473 -M dont 10.0.0.1",
		"-c 1 -s 65507 10.0.0.1",
		"-c 1 -R 10.0.0.1",
		"-c 2 -i 0.1 -R 10.0.0.1",
		"-c 1 -T tsonly 10.0.0.1",
		"-c 1 -T tsandaddr 10.0.0.1",
		"-c 1 -p ff00a 10.0.0.1",
		"-c 1 -q -Q 0x10 10.0.0.1",
		"-c 4 -i 0.1 -l 3 10.0.0.1",
		"-c 20 -f 10.0.0.1",
		"-c 5 -A 10.0.0.1",
		"-c 1 -a 10.0.0.1",
		"-b -c 1 10.0.0.255",
		"-c 1 10.0.0.255",
		"-c 2 -W 1 10.0.0.9",
		"-c 2 -i 0.3 -O -W 1 10.9.0.77",
		"-c 1 -W 1 -t 1 10.9.0.77",
		"-c 1 -W 1 10.8.1.1",
		"-c 1 -W 1 10.8.2.1",
		"-c 2 -i 0.1 -W 1 -s 1400 -M do 10.9.0.1", // answered by the router itself
		"-c 2 -i 0.1 -W 1 -s 1400 -M do 10.9.0.88",
		"-c 3 -w 1 -i 0.2 10.8.1.1",
		"-w 1 -i 0.4 10.0.0.1",
		"-c 2 -w 1 -i 0.6 10.9.0.77",
		"-I 9.9.9.9 -c 1 10.0.0.1",
		"-I nodev -c 1 10.0.0.1",
		"-c 0 10.0.0.1",
		"-M x 10.0.0.1",
		"-R -T tsonly 10.0.0.1",
		"-p xyz 10.0.0.1",
	} {
		t.Run(args, func(t *testing.T) {
			type result struct {
				Code      int
				Out, Errs string
			}
			want := make(chan result, 1)
			go func() {
				code, out, errs := kernel.run("ping " + args)
				want <- result{code, out, errs}
			}()
			code, out, errs := p.run(append([]string{"ping"}, strings.Fields(args)...)...)
			w := <-want
			// The two hosts differ in nothing but their addresses.
			same := func(s string) string { return strings.ReplaceAll(withoutTimes(s), "10.0.0.3", "10.0.0.2") }
			require.Equal(t, same(w.Out), same(out))
			require.Equal(t, same(w.Errs), same(errs))
			require.Equal(t, w.Code, code)
		})
	}
}
