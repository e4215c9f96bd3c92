package main

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The same words to ip and to the program, one after the other, do the same and
// say the same; errors say what the kernel answered.
func TestKernelNeighCorners(t *testing.T) {
	p := newProgram(t)
	host := p.start("--link", "name=t0,addr=10.0.0.1/24", "--service", "none")
	p.system("ip link set lo up")
	p.system("ip addr add 10.0.0.1/24 dev t0")
	ip, err := exec.LookPath("ip")
	require.NoError(t, err)
	for _, words := range strings.Split(strings.TrimSpace(neighCorners), "\n") {
		t.Run(words, func(t *testing.T) {
			var out, errs strings.Builder
			var err error
			p.ns.Do(func() {
				cmd := exec.Command(ip, append([]string{"-4"}, strings.Fields(words)...)...)
				cmd.Stdout, cmd.Stderr = &out, &errs
				err = cmd.Run()
			})
			var ended *exec.ExitError
			if err != nil && !errors.As(err, &ended) {
				require.NoError(t, err)
			}
			code, ourOut, ourErrs := p.run(strings.Fields(words)...)
			require.Equal(t, comparable(out.String()), comparable(ourOut))
			require.Equal(t, err == nil, code == 0, "theirs: %s ours: %s", &errs, ourErrs)
			if err == nil {
				return
			}
			require.True(t, strings.HasPrefix(ourErrs, "Error: "), ourErrs)
			if answer, ok := strings.CutPrefix(errs.String(), "RTNETLINK answers: "); ok {
				require.Equal(t, exitFailed, code)
				require.True(t, strings.HasSuffix(ourErrs, ": "+strings.ToLower(answer)), "theirs: %s ours: %s", &errs, ourErrs)
			}
		})
	}
	p.stop(host, "t0")
}

const neighCorners = `
neigh add 10.0.0.20 lladdr 02:00:00:00:00:20 dev t0
neigh add 10.0.0.20 lladdr 02:00:00:00:00:20 dev t0
neigh change 10.0.0.21 lladdr 02:00:00:00:00:20 dev t0
neigh del 10.0.0.99 dev t0
neigh get 10.0.0.99 dev t0
neigh get 10.0.0.20 dev t0
neigh get 10.0.0.20
neigh get
neigh get dev t0
neigh add 10.0.0.22
neigh add 10.0.0.22 dev d7
neigh add dev t0
neigh add 10.0.0.22 lladdr 02:00:00:00:00 dev t0
neigh add 10.0.0.22 lladdr zz dev t0
neigh add 10.0.0.22 dev t0
neigh add 10.0.0.23 dev t0 nud reachable
neigh add 10.0.0.24 dev t0 nud foo
neigh add 10.0.0.25 dev t0 nud none
neigh show nud none
neigh add 10.0.0.28 lladdr 02:00:00:00:00:28 dev t0 router extern_learn
neigh add 10.0.0.33 lladdr 02:00:00:00:00:29 dev t0 nud noarp
neigh add 10.0.0.34 lladdr 02:00:00:00:00:29 dev t0 nud failed
neigh add 10.0.0.1 lladdr 02:00:00:00:00:29 dev t0
neigh add 10.0.0.255 lladdr 02:00:00:00:00:29 dev t0
neigh add 224.0.0.1 lladdr 02:00:00:00:00:29 dev t0
neigh add 0.0.0.0 lladdr 02:00:00:00:00:29 dev t0
neigh add 10.0.0.35 lladdr ff:ff:ff:ff:ff:ff dev t0
neigh add 10.0.0.36 lladdr 00:00:00:00:00:00 dev t0
neigh add proxy 10.0.0.77 dev t0
neigh add proxy 10.0.0.77 dev t0
neigh add proxy 10.0.0.78
neigh add proxy
neigh del proxy 10.0.0.79 dev t0
neigh del proxy 10.0.0.79
neigh show proxy
neigh show proxy dev t0
neigh get proxy 10.0.0.77 dev t0
neigh get proxy 10.0.0.99 dev t0
neigh show
neigh show dev d7
neigh show nud foo
neigh show nud
neigh show dev
neigh show foo
neigh show 10.0.0.20
neigh show to 10.0.0.20/31
neigh show nud permanent nud noarp
neigh show nud none
neigh show nud all
-s neigh show nud permanent
neigh flush
neigh flush foo
neigh flush dev d7
-s -s neigh flush nud noarp
neigh show nud all
-s neigh flush nud permanent to 10.0.0.20
-s neigh flush nud stale
neigh flush 10.0.0.99
-s neigh flush 10.0.0.99
neigh flush proxy
neigh show proxy
-s neigh flush all
-s neigh flush all
neigh show nud all
neigh foo
neigh del 10.0.0.33 dev t0
neigh del 10.0.0.35 lladdr 02:00:00:00:00:29 dev t0
neigh replace 10.0.0.40 lladdr 02:00:00:00:00:40 dev t0 nud reachable
neigh change 10.0.0.40 dev t0 nud stale
neigh change 10.0.0.40 dev t0
neigh show 10.0.0.40
neigh change 10.0.0.40 lladdr 02:00:00:00:00:41 dev t0 nud reachable
neigh show 10.0.0.40
neigh add 10.0.0.41 lladdr 02:00:00:00:00:41 dev t0 10.0.0.42
neigh add 10.0.0.41 lladdr 02:00:00:00:00:41 dev t0 dev t0
neigh add 10.0.0.43 lladdr 02:00:00:00:00:41 nud 0x40 dev t0
neigh add 10.0.0.44 lladdr 02:00:00:00:00:41 nud 0x44 dev t0
neigh show nud 64
neigh add 10.0.0.45 lladdr 02:00:00:00:00:41 dev t0 proto 186
neigh show 10.0.0.45
neigh del 10.0.0.45 dev t0
neigh del 10.0.0.45 dev t0
`
