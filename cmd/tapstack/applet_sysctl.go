package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"regexp"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/tapstack/tapstack/stack/control"
)

// procpsRun is one run of sysctl as procps has it: what fails is told, and does
// not keep the rest from being done.
type procpsRun struct {
	c      *cli
	client *control.Client
	o      sysctlOptions
	match  *regexp.Regexp
	failed bool
}

// sysctlDefaults is the file of sysctl -p without a name.
const sysctlDefaults = "/etc/sysctl.conf"

const procpsUsage = `Usage: sysctl [-abAdefNnopqrwX] [NAME[=VALUE]]...
  -a, -A, -X  show everything         -n  values only        -N  names only
  -w          every NAME has a VALUE  -q  do not show what is set
  -p, -f      read FILEs of settings, - for what comes in; default /etc/sysctl.conf
  -e          names that do not exist are no failure         -r PATTERN  only names that match
  -b          values without an end of line                  --dry-run   set nothing
The parameters are those of a tapstack host.
`

// procps carries out a command line of procps' sysctl.
func (c *cli) procps(ctx context.Context, args []string) error {
	r := procpsRun{c: c}
	f := pflag.NewFlagSet("sysctl", pflag.ContinueOnError)
	f.SetOutput(io.Discard)
	f.Usage = func() {}
	var all, load, none, system, help, show bool
	f.BoolVarP(&all, "all", "a", false, "")
	f.BoolVarP(&all, "All", "A", false, "")
	f.BoolVarP(&all, "X", "X", false, "")
	f.BoolVarP(&load, "load", "p", false, "")
	f.BoolVarP(&load, "f", "f", false, "")
	f.BoolVarP(&r.o.write, "write", "w", false, "")
	f.BoolVarP(&r.o.values, "values", "n", false, "")
	f.BoolVarP(&r.o.binary, "binary", "b", false, "")
	f.BoolVarP(&r.o.names, "names", "N", false, "")
	f.BoolVarP(&r.o.ignore, "ignore", "e", false, "")
	f.BoolVarP(&r.o.quiet, "quiet", "q", false, "")
	f.BoolVar(&r.o.dry, "dry-run", false, "")
	f.BoolVar(&none, "deprecated", false, "")
	f.BoolVarP(&none, "o", "o", false, "")
	f.BoolVarP(&none, "x", "x", false, "")
	f.StringVarP(&r.o.pattern, "pattern", "r", "", "")
	f.BoolVar(&system, "system", false, "")
	f.BoolVarP(&help, "help", "h", false, "")
	f.BoolVarP(&help, "d", "d", false, "")
	f.BoolVarP(&show, "version", "V", false, "")
	for i, a := range args { // -p takes its file with or without '='
		if file, ok := strings.CutPrefix(a, "--load="); ok {
			args = append(append(append([]string{}, args[:i]...), "--load", file), args[i+1:]...)
			break
		}
	}
	err := f.Parse(args)
	args = f.Args()
	switch {
	case err != nil:
		return usage("%v; see `sysctl --help`", err)
	case help:
		return c.write([]byte(procpsUsage))
	case show:
		return c.write(fmt.Appendf(nil, "sysctl from tapstack %s\n", version()))
	case system:
		return usage("--system: the machine's files are not this host's; use -p FILE")
	case r.o.pattern != "":
		if r.match, err = regexp.Compile(r.o.pattern); err != nil {
			return usage("%v", err)
		}
	}
	r.client = c.client()
	defer r.client.Close()
	switch {
	case all:
		err = r.show(ctx, "")
	case load:
		if len(args) == 0 {
			args = []string{sysctlDefaults}
		}
		err = r.load(ctx, args)
	case len(args) == 0 && r.o.pattern == "":
		fmt.Fprint(c.err, procpsUsage)
		return &silentError{exitFailed}
	case len(args) == 0:
		r.complain("no variables specified\nTry `sysctl --help' for more information.")
	default:
		err = r.each(ctx, args)
	}
	if err != nil || !r.failed {
		return err
	}
	return &silentError{exitFailed}
}

// each reads and writes what is named on the command line.
func (r *procpsRun) each(ctx context.Context, args []string) error {
	for n, arg := range args {
		key, value, set := strings.Cut(arg, "=")
		var err error
		switch {
		case r.o.write && !set:
			r.complain("command line(%d): invalid syntax, continuing...", n)
		case set:
			err = r.set(ctx, strings.TrimSpace(key), strings.TrimSpace(value))
		default:
			err = r.show(ctx, key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// setting is a line of a file.
type setting struct {
	key, value string
	ignore     bool // that it fails
}

// load reads files of settings, and makes them.
func (r *procpsRun) load(ctx context.Context, files []string) error {
	var list []setting
	for _, name := range files {
		var in io.Reader = r.c.in
		if name != "-" {
			f, err := os.Open(name)
			if err != nil {
				r.complain("cannot open %q: %s", name, strerror(errnoOf(err)))
				continue
			}
			defer f.Close()
			in = f
		}
		found, err := r.parse(name, in)
		if err != nil {
			return err
		}
		list = append(list, found...)
	}
	for _, v := range list {
		keys, err := r.expand(ctx, v.key)
		if err != nil {
			return err
		}
		for _, key := range keys {
			old := r.o.ignore
			r.o.ignore = old || v.ignore
			err := r.set(ctx, key, v.value)
			r.o.ignore = old
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// parse reads the lines of sysctl.conf(5).
func (r *procpsRun) parse(name string, in io.Reader) (list []setting, err error) {
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		key, ignore := strings.CutPrefix(strings.TrimSpace(key), "-")
		if !ok || key == "" {
			if !ignore { // -KEY alone is left out of what a pattern stands for
				r.complainOnly("%s(%d): invalid syntax, continuing...", name, n)
			}
			continue
		}
		list = append(list, setting{key, strings.TrimSpace(value), ignore})
	}
	return list, lines.Err()
}

// expand returns the names that a key with wildcards stands for.
func (r *procpsRun) expand(ctx context.Context, key string) ([]string, error) {
	if !strings.ContainsAny(key, "*?[") {
		return []string{key}, nil
	}
	var all []control.Sysctl
	if err := r.client.Get(ctx, "sysctl", nil, &all); err != nil {
		return nil, err
	}
	// In a path a wildcard ends at the separator.
	pattern := slashed(key)
	var keys []string
	for _, v := range all {
		if ok, err := path.Match(pattern, slashed(v.Name)); err == nil && ok {
			keys = append(keys, v.Name)
		}
	}
	return keys, nil
}

// slashed returns a name as the path that it is below /proc/sys.
func slashed(name string) string {
	name = strings.TrimPrefix(name, "/proc/sys/")
	if i := strings.IndexAny(name, "./"); i >= 0 && name[i] == '/' {
		return name
	}
	return strings.NewReplacer(".", "/", "/", ".").Replace(name)
}

func (r *procpsRun) show(ctx context.Context, key string) error {
	q := url.Values{}
	if key != "" {
		q.Set("key", key)
	}
	var list []control.Sysctl
	err := r.client.Get(ctx, "sysctl", q, &list)
	switch {
	case errors.Is(err, syscall.ENOENT):
		r.missing(key)
		return nil
	case err != nil && errnoOf(err) != 0:
		r.complain("reading key %q: %s", key, strerror(errnoOf(err)))
		return nil
	case err != nil:
		return err
	}
	return r.c.write(printSysctls(r.o, list, r.match))
}

func (r *procpsRun) set(ctx context.Context, key, value string) error {
	switch {
	case r.match != nil && !r.match.MatchString(key):
		return nil
	case key == "":
		r.complain("Path is not under /proc/sys/: /proc/sys/")
		return nil
	}
	v := control.Sysctl{Name: key, Value: value}
	if !r.o.dry {
		err := r.client.Post(ctx, "sysctl/set", v, &v)
		switch {
		case errors.Is(err, syscall.ENOENT) && !strings.HasSuffix(slashed(key), "congestion_control"):
			r.missing(key)
			return nil
		case err != nil && errnoOf(err) != 0 && !r.o.ignore:
			r.complain("setting key %q: %s", key, strerror(errnoOf(err)))
			return nil
		case err != nil && errnoOf(err) != 0:
			return nil
		case err != nil:
			return err
		}
	}
	if r.o.quiet {
		return nil
	}
	return r.c.write(printSysctls(r.o, []control.Sysctl{v}, nil))
}

// missing tells that there is no such name, in the words about a file.
func (r *procpsRun) missing(key string) {
	if !r.o.ignore {
		r.complain("cannot stat /proc/sys/%s: No such file or directory", slashed(key))
	}
}

func (r *procpsRun) complain(format string, args ...any) {
	r.failed = true
	r.complainOnly(format, args...)
}

// complainOnly tells of what does not make the run a failure.
func (r *procpsRun) complainOnly(format string, args ...any) {
	fmt.Fprintf(r.c.err, "sysctl: "+format+"\n", args...)
}
