// Command tapbench measures this stack side by side with others in one run, the
// runs of both taking turns, so that what else the machine does hits both.
//
//	go run ./cmd/tapbench run                programs over sockets, against gVisor's netstack and the kernel
//	go run ./cmd/tapbench micro              packets in this process, against gVisor's netstack
//	go test -bench . ./cmd/tapbench          the same, for benchstat
//
// In micro a scenario (scenario.go) has a trial for each stack; what the stacks are
// given and what is measured is said where the scenarios are listed. In run a test
// (suite_linux.go) is a load that is put on each device under test (dut_linux.go)
// in turn: the load and the device are processes of this program, the device with
// the same services (service.go) on its own sockets (serve_linux.go), the load on
// the kernel's.
//
// Only this command knows gVisor's netstack; files with its name are the only ones
// that import it.
package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
)

func main() {
	if err := root(os.Stdout).Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "tapbench:", err)
		os.Exit(1)
	}
}

func root(out io.Writer) *cobra.Command {
	c := &cobra.Command{
		Use:           "tapbench",
		Short:         "Measure tapstack side by side with other stacks",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.SetOut(out)
	c.AddCommand(microCommand())
	c.AddCommand(runCommands()...)
	return c
}
