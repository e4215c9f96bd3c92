package tcp

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPRR follows the window of a recovery ACK by ACK: RFC 6937 section 4 with a
// window of 20 segments of 100, half of which is to remain.
func TestPRR(t *testing.T) {
	type step struct {
		delivered, lost int
		advanced        bool
		flight          int // after the ACK
		sent            int // what goes out before the next
		cwnd            int
	}
	for name, steps := range map[string][]step{
		"one loss: one out for two in": {
			{delivered: 100, lost: 100, flight: 1600, sent: 100, cwnd: 1700},
			{delivered: 100, flight: 1600, sent: 0, cwnd: 1600},
			{delivered: 100, flight: 1500, sent: 0, cwnd: 1550},
			{delivered: 100, flight: 1400, sent: 100, cwnd: 1500},
		},
		"the fast retransmission goes out at once": {
			{delivered: 10, lost: 100, flight: 1800, sent: 100, cwnd: 1900},
		},
		"many losses: not slower than what arrives": {
			{delivered: 100, lost: 1500, flight: 300, sent: 100, cwnd: 400},
			{delivered: 100, lost: 100, flight: 300, sent: 100, cwnd: 400},
		},
		"and back up in slow start while all goes well": {
			{delivered: 100, lost: 1500, flight: 300, sent: 100, cwnd: 400},
			{delivered: 100, advanced: true, flight: 300, sent: 200, cwnd: 500},
			{delivered: 200, advanced: true, flight: 300, sent: 300, cwnd: 600},
		},
		"up to ssthresh": {
			{delivered: 100, lost: 1000, flight: 900, sent: 100, cwnd: 1000},
			{delivered: 500, advanced: true, flight: 950, sent: 0, cwnd: 1000},
		},
		"nothing new, nothing out": {
			{delivered: 0, flight: 1900, cwnd: 2000},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := prr{prior: 2000}
			w := window{cwnd: 2000, ssthresh: 1000, mss: 100}
			for i, s := range steps {
				p.reduce(&w, s.flight, &round{delivered: s.delivered, lost: s.lost, advanced: s.advanced})
				require.Equal(t, s.cwnd, w.cwnd, "step %d", i)
				p.out += s.sent
			}
		})
	}
}
