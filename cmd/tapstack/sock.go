package main

import (
	"context"
	"errors"
	"io"
	"net"

	"github.com/spf13/cobra"
)

func (c *cli) sockCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sock",
		Short: "Drive the host's sockets with JSON lines on standard input and output",
		Long: `Drive the host's sockets from any language: a request, one JSON object a line, on
standard input, its reply on standard output.

The connection is like a process. Its sockets are numbered from 3, the lowest free number
first, and the end of standard input closes them as exit does. Operations, options and
errors are Linux's by name; requests run in order, but one that blocks does not hold up
those behind it, and its reply comes when it is done. The operation "hello" lists what
there is; docs/sock.md describes it all.`,
		Example: `  echo '{"id":1,"op":"hello"}' | tapstack sock
  tapstack sock <<EOF
  {"id":1,"op":"socket","type":"dgram","proto":"udp"}
  {"id":2,"op":"send","fd":3,"addr":"10.0.0.1","port":7,"data":"aGVsbG8="}
  {"id":3,"op":"getsockname","fd":3}
  EOF`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return c.sock(cmd.Context()) },
	}
}

func (c *cli) sock(ctx context.Context) error {
	s, err := c.client().Sock(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	stop := context.AfterFunc(ctx, func() { s.Close() })
	defer stop()
	ended := make(chan struct{}) // standard input
	go func() {
		io.Copy(s, c.in)
		close(ended)
		s.CloseWrite()
	}()
	_, err = io.Copy(c.out, s)
	select {
	case <-ended:
		return nil
	default:
	}
	switch {
	case ctx.Err() != nil:
		return ctx.Err() // Ctrl-C ended it
	case err == nil || errors.Is(err, net.ErrClosed):
		return errors.New("sock: the host has gone")
	}
	return err
}
