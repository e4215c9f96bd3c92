package main

import (
	"errors"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/tap/taptest"
)

// The same words to arping and to the program, at either end of a cable, give
// the same lines and codes.
func TestKernelArping(t *testing.T) {
	t.Parallel() // it mostly waits
	p := newProgram(t)
	theirs := taptest.Tool(t, "arping")
	host := p.start("--link", "name=t0,mac=02:00:00:00:00:02,addr=10.0.0.2/24,peer=10.0.0.1/24", "--service", "none")
	p.system("ip link set lo up")
	dev, err := net.InterfaceByName("t0")
	require.NoError(t, err)
	// What differs is which end is which, and how long it took.
	kernel := strings.NewReplacer("10.0.0.1 ", "ME ", "10.0.0.2 ", "PEER ", "02:00:00:00:00:02", "MAC")
	ours := strings.NewReplacer("10.0.0.2 ", "ME ", "10.0.0.1 ", "PEER ", strings.ToUpper(dev.HardwareAddr.String()), "MAC")
	took := regexp.MustCompile(`\d+\.\d{3}ms`)
	compare := func(t *testing.T, words string) {
		var wantOut, wantErr strings.Builder
		var err error
		p.ns.Do(func() {
			cmd := exec.Command(theirs, strings.Fields(strings.NewReplacer("ME", "10.0.0.1", "PEER", "10.0.0.2").Replace(words))...)
			cmd.Args[0] = "arping"
			cmd.Stdout, cmd.Stderr = &wantOut, &wantErr
			err = cmd.Run()
		})
		code := 0
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			code = ended.ExitCode()
		}
		got, out, errs := p.run(strings.Fields("arping " + strings.NewReplacer("ME", "10.0.0.2", "PEER", "10.0.0.1").Replace(words))...)
		plain := func(r *strings.Replacer, s string) string { return took.ReplaceAllString(r.Replace(s), "TIME") }
		require.Equal(t, plain(kernel, wantOut.String()), plain(ours, out))
		require.Equal(t, wantErr.String(), errs)
		require.Equal(t, code, got)
	}
	t.Run("at once", func(t *testing.T) {
		for _, words := range []string{
			"-c 1 -I t0 10.0.0.9", "-D -c 1 -I t0 10.0.0.9", "-D -I t0 -c 1 ME", "-U -c 1 -I t0 ME", "-A -c 1 -I t0 ME", "-U -c 1 -I t0 10.0.0.77",
			"-c 2 -w 5 -I t0 10.0.0.9", "-w 1 -I t0 10.0.0.9", "-q -c 1 -I t0 10.0.0.9", "-c 1 -s 10.0.0.77 -I t0 PEER", "-c 1 -I nix PEER",
			"-c 1 -I lo 127.0.0.1", "-q -c 1 -I lo 127.0.0.1", "-c 1 -I t0 10.0.0.255", "-c 0 -I t0 PEER", "-c x PEER", "-w -1 PEER",
			"-s foo -I t0 PEER", "-c 1 -I t0 99.9.9.9", "-c 1 -I t0 224.0.0.1",
		} {
			t.Run(words, func(t *testing.T) {
				t.Parallel()
				compare(t, words)
			})
		}
	})
	// These hear the answers to others, too.
	for _, words := range []string{
		"-f -I t0 PEER", "-w 1 -c 5 -I t0 PEER", "-c 1 -w 1 -I t0 PEER", "-c 2 -b -I t0 PEER", "-q -c 1 -I t0 PEER", "-D -c 1 -I t0 PEER", "-D -c 1 -s ME -I t0 PEER",
	} {
		t.Run(words, func(t *testing.T) { compare(t, words) })
	}
	p.stop(host, "t0")
}
