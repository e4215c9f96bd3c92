package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

func (c *client) trace(t *testing.T) (list []TraceEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := bufio.NewScanner(bytes.NewReader(c.b.Bytes())); s.Scan(); {
		var ev TraceEvent
		require.NoError(t, json.Unmarshal(s.Bytes(), &ev))
		list = append(list, ev)
	}
	return list
}

func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		ctx, cancel := context.WithCancel(t.Context())
		both, neigh, drops := &client{header: http.Header{}}, &client{header: http.Header{}}, &client{header: http.Header{}}
		ends := []<-chan struct{}{n.monitor(ctx, "trace?neigh=1&drops=1", both), n.monitor(ctx, "trace?neigh=true", neigh), n.monitor(ctx, "trace?drops=true", drops)}
		conn, err := n.alice.Dial("udp", "10.0.0.9:9")
		require.NoError(t, err)
		for range 2 {
			_, err = conn.Write([]byte("anyone?"))
			require.NoError(t, err)
		}
		time.Sleep(10 * time.Second)
		require.NoError(t, conn.Close())
		synctest.Wait()
		cancel()
		for _, end := range ends {
			<-end
		}
		evs := both.trace(t)
		var kinds []string
		for i, ev := range evs {
			if i > 0 {
				require.False(t, ev.Time.Before(evs[i-1].Time), "in order")
			}
			switch {
			case ev.Drop != nil:
				require.Equal(t, Drop{
					Reason: "NEIGH_FAILED", Protocol: "UDP", Src: ip("10.0.0.1"), Dst: ip("10.0.0.9"),
					SrcPort: ev.Drop.SrcPort, DstPort: 9, Length: 35,
				}, *ev.Drop)
				kinds = append(kinds, "drop")
			case ev.Neigh.Neighbour.Dst == ip("10.0.0.9"):
				kinds = append(kinds, ev.Neigh.Kind+" by "+ev.Neigh.Cause)
			}
		}
		require.Equal(t, []string{"created by packet", "changed by packet"}, kinds[:2])
		require.Contains(t, kinds, "queued by packet")
		require.Contains(t, kinds, "unreached by timer")
		require.Contains(t, kinds, "drop")
		n1, n2, all := 0, 0, len(evs)
		for _, ev := range neigh.trace(t) {
			require.Nil(t, ev.Drop)
			n1++
		}
		for _, ev := range drops.trace(t) {
			require.Nil(t, ev.Neigh)
			n2++
		}
		require.NotZero(t, n2)
		require.Equal(t, all, n1+n2)
		require.False(t, n.srv.drops.watched())
		n.refused("GET", "trace", nil, http.StatusBadRequest, "want neigh, drops or both")
	})
}

// A slow reader is told how many drops it missed; the host does not wait for it.
func TestTraceOfASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		ctx, cancel := context.WithCancel(t.Context())
		slow := &client{header: http.Header{}, block: make(chan struct{})}
		done := n.monitor(ctx, "trace?drops=1", slow)
		const count = 3 * monitorBuffer
		for range count {
			n.alice.Drops().Drop(link.NewPacketFrom(frame()), link.NoSocket)
		}
		close(slow.block)
		synctest.Wait()
		n.alice.Drops().Drop(link.NewPacketFrom(frame()), link.UDPCsum)
		synctest.Wait()
		cancel()
		<-done
		evs := slow.trace(t)
		told := uint64(len(evs))
		for _, ev := range evs {
			told += ev.Missed
		}
		require.EqualValues(t, count+1, told)
		require.Less(t, len(evs), count)
		require.Equal(t, "UDP_CSUM", evs[len(evs)-1].Drop.Reason)
	})
}
