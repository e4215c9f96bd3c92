package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// driveSockets runs tapstack sock with requests for standard input.
func (p *program) driveSockets(requests ...string) (code int, replies []map[string]any, errs string) {
	p.t.Helper()
	cmd := p.command("sock")
	cmd.Stdin = strings.NewReader(strings.Join(requests, "\n") + "\n")
	var out, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &e
	if err := cmd.Run(); err != nil {
		require.IsType(p.t, (*exec.ExitError)(nil), err)
	}
	for d := json.NewDecoder(&out); d.More(); {
		var r map[string]any
		require.NoError(p.t, d.Decode(&r))
		replies = append(replies, r)
	}
	return cmd.ProcessState.ExitCode(), replies, e.String()
}

func TestKernelSock(t *testing.T) {
	p := newProgram(t)
	code, replies, errs := p.driveSockets(`{"op":"hello"}`)
	require.Equal(t, exitNoHost, code)
	require.Empty(t, replies)
	require.Contains(t, errs, "no running tapstack")

	p.start()
	code, replies, errs = p.driveSockets(`{"id":1,"op":"socket","type":"dgram"}`, `{"id":2,"op":"bind","fd":3,"addr":"10.0.0.2","port":5000}`,
		`{"id":3,"op":"recv","fd":3,"len":10}`, `{"id":4,"op":"getsockname","fd":3}`)
	require.Equal(t, exitDone, code, errs)
	require.Len(t, replies, 3, "what waits at the end of input gets no reply")
	require.Equal(t, 3.0, replies[0]["fd"])
	require.Equal(t, 5000.0, replies[2]["port"])
	code, replies, _ = p.driveSockets(`{"id":1,"op":"socket","type":"dgram"}`, `{"id":2,"op":"bind","fd":3,"addr":"10.0.0.2","port":5000}`)
	require.Equal(t, exitDone, code)
	require.Equal(t, true, replies[1]["ok"], "the port is free again")
}
