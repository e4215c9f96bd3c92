// Command tapstack runs a virtual host with its own TCP/IP stack on a TAP device,
// and talks to one that runs. Called as ip, sysctl, ping, arping, ss, nstat or nc it
// takes that tool's command line, for the host that runs.
package main

import (
	"os"
	"path/filepath"
)

func main() {
	c := &cli{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}
	os.Exit(c.runAs(filepath.Base(os.Args[0]), os.Args[1:]))
}
