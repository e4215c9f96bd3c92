package control

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestErrorsTravel(t *testing.T) {
	op := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	for _, tc := range []struct {
		name   string
		err    error
		text   string
		errno  syscall.Errno
		status int
	}{
		{"the errno's words, not the layers'", fail(fmt.Errorf("neighbour: entry exists: %w", syscall.EEXIST), "neighbour %s", "10.0.0.9"),
			"neighbour 10.0.0.9: file exists", syscall.EEXIST, http.StatusConflict},
		{"a net.OpError", fail(op, "connect to %s", "10.0.0.9:7"), "connect to 10.0.0.9:7: connection refused", syscall.ECONNREFUSED, http.StatusUnprocessableEntity},
		{"without errno", fail(errors.New("it rained"), "blast"), "blast: it rained", 0, http.StatusUnprocessableEntity},
		{"absent", fail(syscall.ENOENT, "x"), "x: no such file or directory", syscall.ENOENT, http.StatusNotFound},
		{"nonsense", invalid("control: %q is no nud state", "x"), "control: \"x\" is no nud state", syscall.EINVAL, http.StatusBadRequest},
		{"anybody's", fmt.Errorf("wrapped: %w", syscall.EPERM), "wrapped: operation not permitted", syscall.EPERM, http.StatusUnprocessableEntity},
	} {
		t.Run(tc.name, func(t *testing.T) {
			srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeError(w, tc.err) }))
			defer srv.Close()
			c := &Client{}
			c.http.Transport = &http.Transport{DisableKeepAlives: true}
			req, err := http.NewRequest(http.MethodGet, srv.URL, nil)
			require.NoError(t, err)
			_, err = c.do(req)
			var e *Error
			require.ErrorAs(t, err, &e)
			require.Equal(t, tc.text, e.Text)
			require.Equal(t, tc.errno, e.Errno)
			require.Equal(t, tc.status, status(e))
			if tc.errno != 0 {
				require.ErrorIs(t, err, tc.errno)
			}
		})
	}
}
