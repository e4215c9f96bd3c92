package tcp

// State is the state of a connection (RFC 9293 section 3.3.2).
type State uint8

// The states, with the RFC's names.
const (
	Closed State = iota
	Listen
	SynSent
	SynReceived
	Established
	FinWait1
	FinWait2
	CloseWait
	Closing
	LastAck
	TimeWait

	numStates
)

// String returns the RFC's spelling.
func (s State) String() string {
	if s < numStates {
		return [...]string{"CLOSED", "LISTEN", "SYN-SENT", "SYN-RECEIVED", "ESTABLISHED", "FIN-WAIT-1", "FIN-WAIT-2",
			"CLOSE-WAIT", "CLOSING", "LAST-ACK", "TIME-WAIT"}[s]
	}
	return "UNKNOWN"
}

// synchronized reports whether both ends have agreed on sequence numbers (RFC
// 9293 section 3.5.2): every state from ESTABLISHED on.
func (s State) synchronized() bool { return s >= Established }

// sendsData reports whether the user may still add to the stream.
func (s State) sendsData() bool { return s == Established || s == CloseWait }

// receivesData reports whether the peer's stream is still open.
func (s State) receivesData() bool {
	return s == Established || s == FinWait1 || s == FinWait2
}
