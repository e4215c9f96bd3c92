// Command tapstack runs a virtual host with its own TCP/IP stack on a TAP device,
// and talks to one that runs.
package main

import (
	"os"
)

func main() {
	c := &cli{in: os.Stdin, out: os.Stdout, err: os.Stderr, getenv: os.Getenv}
	os.Exit(c.run(os.Args[1:]))
}
