package sock

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/tap"
	"github.com/tapstack/tapstack/link/tap/taptest"
	"github.com/tapstack/tapstack/stack"
)

// script is calls of a process and of its peer, a Linux socket in another
// namespace. SELF and PEER stand for their addresses. A line that begins with
//
//	"peer " is the peer's,
//	"& " is not waited for, until the next line "wait", which is for all of them,
//	"sleep" waits for the number of milliseconds behind it.
type script struct {
	name  string
	lines string
}

// executor is a process: one of ours, or of the kernel's.
type executor interface {
	begin(request string) <-chan *Reply
}

func (k *kernelProcess) begin(request string) <-chan *Reply {
	ch := make(chan *Reply, 1)
	r := ParseRequest([]byte(request))
	go func() { ch <- k.do(r) }()
	return ch
}

// play runs a script and returns what was answered, a line each.
func (s script) play(t *testing.T, self, peer executor, selfAddr, peerAddr string) []string {
	var out []string
	type begun struct {
		at int
		ch <-chan *Reply
	}
	var running []begun
	for _, line := range strings.Split(s.lines, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		out = append(out, line)
		if line == "wait" {
			for _, b := range running {
				select {
				case y := <-b.ch:
					out[b.at] += "\n    " + describe(y, selfAddr, peerAddr)
				case <-time.After(5 * time.Second):
					out[b.at] += "\n    no reply"
				}
			}
			running = nil
			continue
		}
		if ms, ok := strings.CutPrefix(line, "sleep "); ok {
			d, err := time.ParseDuration(ms + "ms")
			require.NoError(t, err)
			time.Sleep(d)
			continue
		}
		who := self
		line, async := strings.CutPrefix(line, "& ")
		if rest, ok := strings.CutPrefix(line, "peer "); ok {
			who, line = peer, rest
		}
		ch := who.begin(strings.NewReplacer("SELF", selfAddr, "PEER", peerAddr).Replace(line))
		if async {
			running = append(running, begun{len(out) - 1, ch})
			time.Sleep(20 * time.Millisecond) // the kernel's threads: in order
			continue
		}
		select {
		case y := <-ch:
			out[len(out)-1] += "\n    " + describe(y, selfAddr, peerAddr)
		case <-time.After(5 * time.Second):
			out[len(out)-1] += "\n    no reply"
		}
	}
	require.Empty(t, running, "wait is missing")
	return out
}

// describe is a reply without what is different every time.
func describe(y *Reply, self, peer string) string {
	z := *y
	z.ID, z.T0, z.T1 = nil, 0, 0
	z.Addr = strings.NewReplacer(self, "SELF", peer, "PEER").Replace(z.Addr)
	if z.Port != nil && *z.Port >= 32768 {
		*z.Port = 65535
	}
	if m, ok := z.Value.(map[string]any); ok { // struct tcp_info
		v := map[string]any{}
		for _, k := range []string{"tcpi_state", "tcpi_ca_state", "tcpi_probes", "tcpi_backoff", "tcpi_retransmits", "tcpi_unacked",
			"tcpi_snd_mss", "tcpi_advmss", "tcpi_reordering", "tcpi_lost", "tcpi_retrans", "tcpi_sacked", "tcpi_snd_cwnd", "tcpi_snd_ssthresh"} {
			v[k] = m[k]
		}
		z.Value = v
	}
	b, err := json.Marshal(&z)
	if err != nil {
		return err.Error()
	}
	return strings.TrimPrefix(string(b), `{"id":null,`)
}

// testbed is a peer, P, and two hosts beside it: ours, and another namespace, K.
type testbed struct {
	peer, kernel *taptest.Netns
	host         *stack.Host
}

func newTestbed(t *testing.T) *testbed {
	run := func(n *taptest.Netns, line string) {
		t.Helper()
		var out []byte
		var err error
		f := strings.Fields(line)
		n.Do(func() { out, err = exec.Command(f[0], f[1:]...).CombinedOutput() })
		require.NoError(t, err, "%s: %s", line, out)
	}
	taptest.Tool(t, "ip")
	b := &testbed{}
	b.kernel = taptest.Namespace(t)
	f, err := os.Open("/proc/thread-self/ns/net")
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	b.peer = taptest.Namespace(t)
	var dev *tap.Device
	b.peer.Do(func() { dev, err = tap.Open(tap.Config{Name: "t0"}) })
	require.NoError(t, err)
	run(b.peer, "ip addr add 10.0.0.1/24 dev t0")
	run(b.peer, "ip link set t0 up")
	run(b.peer, fmt.Sprintf("ip link add v0 type veth peer name v1 netns /proc/%d/fd/%d", os.Getpid(), f.Fd()))
	run(b.peer, "ip addr add 10.0.1.1/24 dev v0")
	run(b.peer, "ip link set v0 up")
	run(b.kernel, "ip addr add 10.0.1.2/24 dev v1")
	run(b.kernel, "ip link set v1 up")
	for _, n := range []*taptest.Netns{b.peer, b.kernel} {
		n.Do(func() {
			require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/ping_group_range", []byte("0 2147483647"), 0))
			require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/tcp_congestion_control", []byte("reno"), 0))
			require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/icmp_ratelimit", []byte("0"), 0))
			require.NoError(t, os.WriteFile("/proc/sys/net/ipv4/tcp_no_metrics_save", []byte("1"), 0))
		})
	}
	b.host, err = stack.New(stack.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, b.host.Close()) })
	_, err = b.host.AddInterface(stack.InterfaceConfig{Name: "eth0", Device: dev, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}})
	require.NoError(t, err)
	return b
}

// Every call answers as Linux's does: the same calls, by our process and by one of
// the kernel's, against the same peer.
func TestKernelConformance(t *testing.T) {
	b := newTestbed(t)
	for _, s := range append(scripts(), datagramScripts()...) {
		t.Run(strings.ReplaceAll(s.name, " ", "-"), func(t *testing.T) {
			kernel, peer := &kernelProcess{ns: b.kernel}, &kernelProcess{ns: b.peer}
			want := s.play(t, kernel, peer, "10.0.1.2", "10.0.1.1")
			kernel.close()
			peer.close()
			time.Sleep(50 * time.Millisecond)

			ours, peer := newClient(t, b.host), &kernelProcess{ns: b.peer}
			got := s.play(t, ours, peer, "10.0.0.2", "10.0.0.1")
			ours.close()
			peer.close()
			require.Equal(t, strings.Join(want, "\n"), strings.Join(got, "\n"))
		})
	}
}
