package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"syscall"
)

// ErrNoHost is returned by a Client when nothing answers at the socket.
var ErrNoHost = errors.New("control: no running tapstack at the control socket")

// Error is a failure of the host's side, as it travels to the client.
type Error struct {
	// Text says what failed and why, for people: "neighbour 10.0.0.9 dev t0: file exists".
	Text string `json:"error"`
	// Errno is Linux's number of the failure, 0 when it has none.
	Errno syscall.Errno `json:"errno,omitempty"`
	// Kernel is what Linux says besides, "" where it leaves it at the errno.
	Kernel string `json:"kernel,omitempty"`
	// Invalid marks a request that makes no sense, as opposed to one that failed.
	Invalid bool `json:"invalid,omitempty"`
}

// Error returns the text.
func (e *Error) Error() string { return e.Text }

// Unwrap returns the errno, so that errors.Is(err, syscall.EEXIST) works across
// the socket.
func (e *Error) Unwrap() error {
	if e.Errno == 0 {
		return nil
	}
	return e.Errno
}

// fail makes an Error of what went wrong with a subject. A request that makes no
// sense stays one.
func fail(err error, format string, args ...any) error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return e
	}
	return &Error{Text: fmt.Sprintf(format, args...) + ": " + words(err), Errno: errno(err)}
}

// invalid makes an Error of a request that makes no sense.
func invalid(format string, args ...any) error {
	return &Error{Text: fmt.Sprintf(format, args...), Errno: syscall.EINVAL, Invalid: true}
}

// words returns errno's text when err has one: the layers' own prefixes say
// where the error was found, which is of no use to whoever typed the command.
func words(err error) string {
	if no := errno(err); no != 0 {
		return no.Error()
	}
	return err.Error()
}

func errno(err error) syscall.Errno {
	var no syscall.Errno
	if errors.As(err, &no) {
		return no
	}
	return 0
}

// status returns the HTTP status for err.
func status(e *Error) int {
	switch {
	case e.Invalid:
		return http.StatusBadRequest
	case e.Errno == syscall.ENOENT || e.Errno == syscall.ENODEV || e.Errno == syscall.ESRCH:
		return http.StatusNotFound
	case e.Errno == syscall.EEXIST:
		return http.StatusConflict
	}
	return http.StatusUnprocessableEntity
}

func writeError(w http.ResponseWriter, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Text: err.Error(), Errno: errno(err)}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status(e))
	json.NewEncoder(w).Encode(e)
}
