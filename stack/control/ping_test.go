package control

import (
	"bufio"
	"encoding/json"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// pingEvents runs a ping to its end.
func (n *network) pingEvents(r PingRequest) (list []PingEvent) {
	n.t.Helper()
	rec := n.do(http.MethodPost, "ping", r)
	require.Equal(n.t, http.StatusOK, rec.Code, rec.Body)
	for s := bufio.NewScanner(rec.Body); s.Scan(); {
		var ev PingEvent
		require.NoError(n.t, json.Unmarshal(s.Bytes(), &ev))
		list = append(list, ev)
	}
	return list
}

func kinds(list []PingEvent) (k []string) {
	for _, ev := range list {
		k = append(k, ev.Kind)
	}
	return k
}

func TestPingAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		start := time.Now()
		list := n.pingEvents(PingRequest{Dst: ip("10.0.0.2"), Count: 3, Interval: time.Second, Size: 56})
		require.Equal(t, 2*time.Second, time.Since(start), "the third answer ends it")
		require.Equal(t, []string{"start", "sent", "reply", "sent", "reply", "sent", "reply", "done"}, kinds(list))
		require.Equal(t, PingEvent{Kind: "start", Src: ip("10.0.0.1")}, list[0])
		require.Equal(t, PingEvent{Kind: "reply", Seq: 2, From: ip("10.0.0.2"), Bytes: 64, TTL: 64}, list[4])
		require.Equal(t, []string{"start", "sent", "reply", "done"}, kinds(n.pingEvents(PingRequest{Dst: ip("127.0.0.1"), Count: 1})))
	})
}

// As ping(8): errors count as answers; they come when resolution has failed, for
// all that waited.
func TestPingOfNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		list := n.pingEvents(PingRequest{Dst: ip("10.0.0.9"), Count: 3, Interval: time.Second, Size: 56})
		require.Equal(t, []string{"start", "sent", "sent", "sent", "error", "error", "error", "done"}, kinds(list))
		for i, ev := range list[4:7] {
			require.Equal(t, PingEvent{Kind: "error", Seq: i + 1, From: ip("10.0.0.1"), Type: 3, Code: 1, Error: "no route to host"}, ev)
		}

		// -W is the wait for the last answer.
		n.post("neigh/replace", NeighRequest{Dst: ip("10.0.0.9"), Dev: "eth0", LLAddr: &mac9})
		start := time.Now()
		list = n.pingEvents(PingRequest{Dst: ip("10.0.0.9"), Count: 2, Interval: time.Second, Wait: 1500 * time.Millisecond})
		require.Equal(t, []string{"start", "sent", "sent", "done"}, kinds(list))
		require.Equal(t, 2500*time.Millisecond, time.Since(start))
		start = time.Now()
		n.pingEvents(PingRequest{Dst: ip("10.0.0.9"), Interval: time.Second, Deadline: 4500 * time.Millisecond})
		require.Equal(t, 4500*time.Millisecond, time.Since(start))
	})
}

// Without an interval the next request leaves when the answer comes, or after 10 ms.
func TestPingFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		start := time.Now()
		list := n.pingEvents(PingRequest{Dst: ip("10.0.0.2"), Count: 1000})
		count := map[string]int{}
		for _, k := range kinds(list) {
			count[k]++
		}
		require.Equal(t, map[string]int{"start": 1, "sent": 1000, "reply": 1000, "done": 1}, count)
		require.Zero(t, time.Since(start))
		n.post("neigh/replace", NeighRequest{Dst: ip("10.0.0.9"), Dev: "eth0", LLAddr: &mac9})
		start = time.Now()
		n.pingEvents(PingRequest{Dst: ip("10.0.0.9"), Count: 10, Wait: time.Second})
		require.Equal(t, 1090*time.Millisecond, time.Since(start))
	})
}

func TestPingTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		list := n.pingEvents(PingRequest{Dst: ip("10.0.0.2"), Count: 1, Size: 2000, DF: true})
		require.Equal(t, PingEvent{Kind: "send_error", Seq: 1, Error: "message too long", MTU: 1500}, list[1])
		list = n.pingEvents(PingRequest{Dst: ip("10.0.0.2"), Count: 1, Size: 2000})
		require.Equal(t, 2008, list[2].Bytes, "in fragments")
	})
}

func TestPingRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		for _, tc := range []struct {
			r    PingRequest
			code int
			text string
		}{
			{PingRequest{Dst: ip("99.9.9.9")}, http.StatusUnprocessableEntity, "connect: network is unreachable"},
			{PingRequest{Dst: ip("10.0.0.255")}, http.StatusUnprocessableEntity, "permission denied"},
			{PingRequest{Dst: ip("10.0.0.2"), Dev: "eth7"}, http.StatusNotFound, "device eth7"},
			{PingRequest{Dst: ip("10.0.0.2"), Src: ip("10.0.0.77")}, http.StatusUnprocessableEntity, "cannot assign requested address"},
			{PingRequest{Dst: ip("::1")}, http.StatusBadRequest, "not an IPv4 address"},
			{PingRequest{Dst: ip("10.0.0.2"), Size: 65508}, http.StatusBadRequest, "size 65508"},
			{PingRequest{Dst: ip("10.0.0.2"), Count: -1}, http.StatusBadRequest, "negative"},
		} {
			n.refused("POST", "ping", tc.r, tc.code, tc.text)
		}
		require.NotEmpty(t, n.pingEvents(PingRequest{Dst: ip("10.0.0.255"), Broadcast: true, Count: 1, Wait: time.Second}))
	})
}

func TestPingOptions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		list := n.pingEvents(PingRequest{Dst: ip("10.0.0.2"), Count: 4, Preload: 3, Interval: time.Second})
		require.Equal(t, []string{"start", "sent", "sent", "sent", "reply", "reply", "reply", "sent", "reply", "done"}, kinds(list))

		start := time.Now()
		n.pingEvents(PingRequest{Dst: ip("10.0.0.2"), Count: 9, Interval: time.Second, Adaptive: true})
		require.Less(t, time.Since(start), time.Second, "as fast as answers come")

		// With a deadline requests go on after the last that was asked for, and an
		// error is the end.
		n.post("neigh/replace", NeighRequest{Dst: ip("10.0.0.9"), Dev: "eth0", LLAddr: &mac9})
		list = n.pingEvents(PingRequest{Dst: ip("10.0.0.9"), Count: 1, Interval: time.Second, Deadline: 2500 * time.Millisecond})
		require.Equal(t, []string{"start", "sent", "sent", "sent", "done"}, kinds(list))
		start = time.Now()
		n.pingEvents(PingRequest{Dst: ip("10.0.0.8"), Count: 9, Interval: 4 * time.Second, Deadline: time.Minute})
		require.Less(t, time.Since(start), 5*time.Second)

		rr := append([]byte{1, 7, 39, 4}, make([]byte, 36)...)
		list = n.pingEvents(PingRequest{Dst: ip("10.0.0.2"), Count: 1, Options: rr, Pattern: []byte{0xff}, Size: 32})
		require.Contains(t, string(list[2].Opts), "\x0a\x00\x00\x02", "who answered has recorded itself")
		require.Empty(t, list[2].Data, "nothing is damaged")

		list = n.pingEvents(PingRequest{Dst: ip("10.0.0.255"), Broadcast: true, Count: 1, Wait: time.Second})
		require.True(t, list[0].Broadcast)
		for _, r := range []PingRequest{{Dst: ip("10.0.0.2"), Options: make([]byte, 44)}, {Dst: ip("10.0.0.2"), Pattern: make([]byte, 17)}, {Dst: ip("10.0.0.2"), Preload: 70000}} {
			n.refused("POST", "ping", r, http.StatusBadRequest, "at most")
		}
	})
}

// What is known of the path counts for do, and the interface alone for probe.
func TestPingPathMTU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.alice.IPv4().UpdatePathMTU(ip("10.0.0.2"), 1300)
		for _, tc := range []struct {
			r    PingRequest
			want PingEvent
		}{
			{PingRequest{DF: true}, PingEvent{Kind: "send_error", Seq: 1, Error: "message too long", MTU: 1300}},
			{PingRequest{Probe: true}, PingEvent{Kind: "sent", Seq: 1}},
			{PingRequest{Fragment: true}, PingEvent{Kind: "sent", Seq: 1}},
			{PingRequest{}, PingEvent{Kind: "sent", Seq: 1}},
		} {
			tc.r.Dst, tc.r.Size, tc.r.Count = ip("10.0.0.2"), 1400, 1
			require.Equal(t, tc.want, n.pingEvents(tc.r)[1])
		}
		list := n.pingEvents(PingRequest{Dst: ip("10.0.0.2"), Size: 1473, Count: 1, Probe: true})
		require.Equal(t, PingEvent{Kind: "send_error", Seq: 1, Error: "message too long", MTU: 1500}, list[1])
	})
}

func TestPingNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		require.Equal(t, ip("127.0.0.1"), n.pingEvents(PingRequest{Name: "localhost", Names: true, Count: 1})[0].Dst)
		n.refused("POST", "ping", PingRequest{Name: "nobody"}, http.StatusUnprocessableEntity, "nobody: Name or service not known")
		n.refused("POST", "ping", PingRequest{Name: "fe80::1"}, http.StatusUnprocessableEntity, "Address family for hostname not supported")
	})
}
