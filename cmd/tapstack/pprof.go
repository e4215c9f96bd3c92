package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/stack/control"
)

func (c *cli) pprofCommand() *cobra.Command {
	var (
		file    string
		seconds int
	)
	cmd := &cobra.Command{
		Use:   "pprof " + strings.Join(control.Profiles, "|") + " -o FILE [--seconds N]",
		Short: "Take a profile of the running host, for go tool pprof",
		Long: `Take a profile of the running host's process and write it to FILE, which
"go tool pprof FILE" shows:
  cpu        where the processors' time goes, over some seconds
  heap       the memory in use
  allocs     all that was allocated since the start
  goroutine  what each goroutine does
  mutex      who keeps others waiting for mutexes, over some seconds
  block      who waits for what, over some seconds
What mutex and block record adds up from one call to the next. Ctrl-C ends the
measurement, and leaves no FILE.`,
		Example: "  tapstack pprof cpu -o cpu.pprof --seconds 5\n  tapstack pprof heap -o - | go tool pprof -top -",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := profileRequest(args, file, seconds, cmd.Flags().Changed("seconds"))
			if err != nil {
				return err
			}
			return c.pprof(cmd.Context(), r, file)
		},
	}
	cmd.ValidArgsFunction = cobra.FixedCompletions(control.Profiles, cobra.ShellCompDirectiveNoFileComp)
	cmd.Flags().StringVarP(&file, "output", "o", "", "the `FILE` to write, - for the output")
	cmd.Flags().IntVar(&seconds, "seconds", 10, "how long cpu, mutex and block measure, at most 3600")
	return cmd
}

func profileRequest(args []string, file string, seconds int, asked bool) (r control.ProfileRequest, err error) {
	switch {
	case len(args) != 1 || !slices.Contains(control.Profiles, args[0]):
		return r, usage("pprof: want one of %s", strings.Join(control.Profiles, ", "))
	case file == "":
		return r, usage("pprof: want a file to write, -o FILE, or -o - for the output")
	}
	r.Name = args[0]
	switch longest := int(control.MaxProfile / time.Second); {
	case !r.Timed() && asked:
		return r, usage("pprof: --seconds goes with cpu, mutex and block; %s shows what there is now", r.Name)
	case !r.Timed():
		return r, nil
	case seconds < 1 || seconds > longest:
		return r, usage("pprof: --seconds %d: want 1 to %d", seconds, longest)
	}
	r.Duration = time.Duration(seconds) * time.Second
	return r, nil
}

// pprof has the host take a profile. The file is opened first: a path that cannot
// be written is known at once. What it holds is replaced when the profile is there.
func (c *cli) pprof(ctx context.Context, r control.ProfileRequest, file string) error {
	client := c.client()
	defer client.Close()
	var b bytes.Buffer
	take := func() error {
		err := client.Profile(ctx, r, &b)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return err
	}
	if file == "-" {
		if err := take(); err != nil {
			return err
		}
		return c.write(b.Bytes())
	}
	_, err := os.Lstat(file)
	created := os.IsNotExist(err)
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("pprof: %w", err)
	}
	defer f.Close()
	if err = take(); err == nil {
		err = replace(f, b.Bytes())
	}
	if err != nil && created {
		_ = os.Remove(file) // nothing is in it
	}
	return err
}

// replace makes b the content of f, which may be a device or a pipe.
func replace(f *os.File, b []byte) error {
	info, err := f.Stat()
	if err == nil && info.Mode().IsRegular() {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.Write(b)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return fmt.Errorf("pprof: %w", err)
	}
	return nil
}
