package sock

import (
	"bytes"
	"encoding/json"
	"math"
	"net/netip"
)

// Limits of one client.
const (
	MaxLine     = 1 << 20 // bytes of a request
	maxID       = 64      // bytes of its id
	maxFDs      = 1 << 14
	maxWaiting  = 4096     // calls that wait
	maxPoll     = 4096     // descriptors of one poll
	maxIOV      = 1024     // UIO_MAXIOV
	maxTransfer = 32 << 20 // bytes that one recv collects (MSG_WAITALL) and shows
)

// Request is one call. Which of the fields there must be depends on Op.
type Request struct {
	ID       json.RawMessage `json:"id"`
	Op       string          `json:"op"`
	FD       *int            `json:"fd"`
	Type     string          `json:"type"`
	Proto    *string         `json:"proto"`
	Nonblock *bool           `json:"nonblock"`
	Addr     json.RawMessage `json:"addr"` // a string, or null
	Port     int             `json:"port"`
	Backlog  int             `json:"backlog"`
	Data     []byte          `json:"data"`
	Len      *int64          `json:"len"`
	IOV      []int64         `json:"iov"`
	Flags    []string        `json:"flags"`
	Want     string          `json:"want"`
	CMsg     bool            `json:"cmsg"`
	How      string          `json:"how"`
	Name     string          `json:"name"`
	Value    json.RawMessage `json:"value"`
	FDs      []PollFD        `json:"fds"`
	Timeout  *int64          `json:"timeout_ms"`

	flags flags
	addr  netip.Addr // of Addr, not valid for none
	size  int64      // of what is to be sent, or received at most

	invalid bool
}

// PollFD is a descriptor of poll's, with what is asked for or what there is.
type PollFD struct {
	FD      int      `json:"fd"`
	Events  []string `json:"events,omitempty"`
	Revents []string `json:"revents"`
}

// ParseRequest reads a line. The answer to one that makes no sense is EINVAL, with
// its ID if there was one to be seen. Fields that are not known are passed over.
func ParseRequest(line []byte) *Request {
	r := &Request{}
	if err := json.Unmarshal(line, r); err != nil {
		var head struct {
			ID json.RawMessage `json:"id"`
		}
		json.Unmarshal(line, &head)
		r = &Request{ID: head.ID, invalid: true}
	}
	if !r.checkID() || !r.invalid && !r.check() {
		r.invalid = true
	}
	return r
}

// checkID has an ID that can be sent back: a number, or another scalar.
func (r *Request) checkID() bool {
	switch {
	case len(r.ID) == 0:
		r.ID = json.RawMessage("null")
	case len(r.ID) > maxID || r.ID[0] == '{' || r.ID[0] == '[':
		r.ID = json.RawMessage("null")
		return false
	}
	return true
}

func (r *Request) check() bool {
	var ok bool
	if r.flags, ok = parseFlags(r.Flags); !ok {
		return false
	}
	if r.hasAddr() {
		var s string
		if json.Unmarshal(r.Addr, &s) != nil {
			return false
		}
		a, err := netip.ParseAddr(s)
		if err != nil || !a.Is4() {
			return false
		}
		r.addr = a
	}
	if r.Port < 0 || r.Port > math.MaxUint16 || len(r.IOV) > maxIOV || len(r.FDs) > maxPoll {
		return false
	}
	if r.Len != nil && *r.Len < 0 {
		return false
	}
	switch {
	case r.Data != nil:
		r.size = int64(len(r.Data))
	case r.Len != nil:
		r.size = *r.Len
	}
	for _, n := range r.IOV {
		if n < 0 || n > math.MaxInt32 {
			return false
		}
		r.size += n
	}
	// What one call moves at most (MAX_RW_COUNT).
	r.size = min(r.size, math.MaxInt32&^4095)
	return r.Want == "" || r.Want == "data" || r.Want == "len"
}

// hasAddr reports whether Addr is an address, not null.
func (r *Request) hasAddr() bool { return len(r.Addr) > 0 && !bytes.Equal(r.Addr, []byte("null")) }

// addrPort returns the address and port of a request that may leave the first out.
func (r *Request) addrPort() netip.AddrPort {
	a := r.addr
	if !a.IsValid() {
		a = netip.IPv4Unspecified()
	}
	return netip.AddrPortFrom(a, uint16(r.Port))
}

// flags are MSG_ flags.
type flags uint16

const (
	msgOOB flags = 1 << iota
	msgPeek
	msgTrunc
	msgDontWait
	msgWaitAll
	msgMore
	msgConfirm
	msgProbe
	msgErrQueue
	msgFastOpen
)

// flagNames are those that say something; the others that there are, here 0, change
// nothing for these sockets.
var flagNames = map[string]flags{
	"MSG_OOB": msgOOB, "MSG_PEEK": msgPeek, "MSG_TRUNC": msgTrunc, "MSG_DONTWAIT": msgDontWait, "MSG_WAITALL": msgWaitAll,
	"MSG_MORE": msgMore, "MSG_CONFIRM": msgConfirm, "MSG_PROBE": msgProbe, "MSG_ERRQUEUE": msgErrQueue, "MSG_FASTOPEN": msgFastOpen,
	"MSG_NOSIGNAL": 0, "MSG_DONTROUTE": 0, "MSG_EOR": 0, "MSG_CMSG_CLOEXEC": 0, "MSG_ZEROCOPY": 0,
}

func parseFlags(names []string) (f flags, ok bool) {
	for _, name := range names {
		v, known := flagNames[name]
		if !known {
			return 0, false
		}
		f |= v
	}
	return f, true
}
