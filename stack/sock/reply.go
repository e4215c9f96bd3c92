package sock

import (
	"encoding/json"
	"net/netip"
	"syscall"
)

// Reply is the answer to a Request.
type Reply struct {
	ID       json.RawMessage `json:"id"`
	OK       bool            `json:"ok"`
	Errno    any             `json:"errno,omitempty"` // a name; 0 for SO_ERROR when there is none
	Version  int             `json:"version,omitempty"`
	Ops      []string        `json:"ops,omitempty"`
	Sockopts []string        `json:"sockopts,omitempty"`
	FD       *int            `json:"fd,omitempty"`
	N        *int            `json:"n,omitempty"`
	Data     *[]byte         `json:"data,omitempty"`
	Addr     string          `json:"addr,omitempty"`
	Port     *uint16         `json:"port,omitempty"`
	CMsg     *[]CMsg         `json:"cmsg,omitempty"`
	Flags    *[]string       `json:"flags,omitempty"`
	Value    any             `json:"value,omitempty"`
	Nonblock *bool           `json:"nonblock,omitempty"`
	FDs      *[]PollFD       `json:"fds,omitempty"`
	T0       int64           `json:"t0,omitempty"` // CLOCK_REALTIME in ns, when the call began
	T1       int64           `json:"t1,omitempty"` // and when it ended
}

// CMsg is a control message.
type CMsg struct {
	Name  string `json:"name"`
	Value any    `json:"value"`
}

func (r *Reply) setErrno(e syscall.Errno) {
	r.OK, r.Errno = e == 0, nil
	if e != 0 {
		r.Errno = errnoName(e)
	}
}

func (r *Reply) setN(n int) { r.N = &n }

func (r *Reply) setAddr(a netip.AddrPort) {
	port := a.Port()
	r.Addr, r.Port = a.Addr().String(), &port
}
