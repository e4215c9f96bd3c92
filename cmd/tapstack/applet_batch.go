package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// runBatch carries out a file of commands, one a line, as ip -batch does. It ends
// at the first that fails, with -force at the end of the file.
func (r *ipRun) runBatch(ctx context.Context) (int, string) {
	var in io.Reader = r.c.in
	if r.batch != "-" {
		f, err := os.Open(r.batch)
		if err != nil {
			return ipFailed, fmt.Sprintf("Cannot open file %q for reading: %s", r.batch, strerror(errnoOf(err)))
		}
		defer f.Close()
		in = f
	}
	failed := exitDone
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		line, start := lines.Text(), n
		for strings.HasSuffix(line, `\`) && lines.Scan() { // it goes on
			line = strings.TrimSuffix(line, `\`) + lines.Text()
			n++
		}
		args, err := splitLine(line)
		if len(args) == 0 && err == nil {
			continue
		}
		code, text := ipUsage, ""
		if err != nil {
			text = err.Error()
		} else {
			code, text = r.run(ctx, args)
		}
		if text != "" {
			fmt.Fprintln(r.c.err, text)
		}
		if code == exitDone {
			continue
		}
		// With some objects iproute2 ends here without a word, even with -force.
		failed = ipFailed
		fmt.Fprintf(r.c.err, "Command failed %s:%d\n", r.batch, start)
		if !r.force || code == exitNoHost {
			return code, ""
		}
	}
	if err := lines.Err(); err != nil {
		return ipFailed, fmt.Sprintf("Error: %s: %v", r.batch, err)
	}
	return failed, ""
}

// splitLine splits a line of a batch file into words: at blanks, with quotes to
// hold some together, up to a '#' that begins a word.
func splitLine(line string) (args []string, err error) {
	for {
		line = strings.TrimLeft(line, " \t\r")
		if line == "" || line[0] == '#' {
			return args, nil
		}
		var word string
		if q := line[0]; q == '"' || q == '\'' {
			var ok bool
			if word, line, ok = strings.Cut(line[1:], string(q)); !ok {
				//lint:ignore ST1005 iproute2's words
				return nil, errors.New("Unterminated quoted string")
			}
		} else {
			n := strings.IndexAny(line, " \t\r")
			if n < 0 {
				n = len(line)
			}
			word, line = line[:n], line[n:]
		}
		args = append(args, word)
	}
}
