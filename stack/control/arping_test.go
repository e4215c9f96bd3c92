package control

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/link"
)

var macAlice, macBob = link.Addr{2, 0, 0, 0, 0, 1}, link.Addr{2, 0, 0, 0, 0, 2}

// arpingEvents runs an arping to its end.
func (n *network) arpingEvents(r ArpingRequest) []ArpingEvent {
	n.t.Helper()
	rec := n.do(http.MethodPost, "arping", r)
	require.Equal(n.t, http.StatusOK, rec.Code, rec.Body)
	return arpingEvents(n.t, rec.Body.String())
}

func arpingEvents(t *testing.T, lines string) (list []ArpingEvent) {
	t.Helper()
	for s := bufio.NewScanner(strings.NewReader(lines)); s.Scan(); {
		var ev ArpingEvent
		require.NoError(t, json.Unmarshal(s.Bytes(), &ev))
		list = append(list, ev)
	}
	return list
}

func arpingKinds(list []ArpingEvent) string {
	var k []string
	for _, ev := range list {
		k = append(k, ev.Kind)
	}
	return strings.Join(k, " ")
}

func TestArpingAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		start := time.Now()
		heard := n.bob.ARP().Listen(0, 8)
		defer heard.Close()
		list := n.arpingEvents(ArpingRequest{Dst: ip("10.0.0.2"), Count: 2, Interval: time.Second})
		require.Equal(t, "start sent reply sent reply done", arpingKinds(list))
		require.Equal(t, 2*time.Second, time.Since(start), "it waits after the last, too")
		require.Equal(t, ArpingEvent{Kind: ArpingStart, Dev: "eth0", Src: ip("10.0.0.1"), LLAddr: macAlice}, list[0])
		require.Equal(t, ArpingEvent{Kind: ArpingSent, Broadcast: true}, list[1])
		require.Equal(t, ArpingEvent{Kind: ArpingReply, Src: ip("10.0.0.2"), LLAddr: macBob, For: ip("10.0.0.1"), ForLLAddr: macAlice}, list[2])
		require.Equal(t, ArpingEvent{Kind: ArpingSent}, list[3], "who answers is asked directly from then on")
		first, second := <-heard.C, <-heard.C
		require.Equal(t, arp.Packet{Op: arp.Request, SenderAddr: macAlice, SenderIP: ip("10.0.0.1"), TargetAddr: link.BroadcastAddr, TargetIP: ip("10.0.0.2")}, first.Packet)
		require.Equal(t, link.Broadcast, first.Class)
		require.Equal(t, macBob, second.TargetAddr)
		require.Equal(t, link.Host, second.Class)

		var neighs []Neighbour
		n.get("neigh", &neighs)
		require.Empty(t, neighs, "the table does not hear of what arping does")
	})
}

// Whatever ends it ends it when arping(8) would end.
func TestArpingEnds(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		name  string
		r     ArpingRequest
		kinds string
		took  time.Duration
	}{
		{"-c 1", ArpingRequest{Dst: ip("10.0.0.9"), Count: 1, Interval: s}, "start sent done", s},
		{"-c 2 -i 2", ArpingRequest{Dst: ip("10.0.0.9"), Count: 2, Interval: 2 * s}, "start sent sent done", 4 * s},
		{"-w 2", ArpingRequest{Dst: ip("10.0.0.9"), Deadline: 2 * s, Interval: s}, "start sent sent sent done", 2 * s},
		{"-w 2 -i 0", ArpingRequest{Dst: ip("10.0.0.2"), Deadline: 2 * s}, "start sent reply done", 2 * s},
		{"-c 2 -w 4", ArpingRequest{Dst: ip("10.0.0.9"), Count: 2, Deadline: 4 * s, Interval: s}, "start sent sent done", 2 * s},
		{"-c 2 -w 5 answered", ArpingRequest{Dst: ip("10.0.0.2"), Count: 2, Deadline: 5 * s, Interval: s}, "start sent reply sent reply done", s},
		{"-c 1 answered", ArpingRequest{Dst: ip("10.0.0.2"), Count: 1, Interval: s}, "start sent reply done", s},
		{"-f", ArpingRequest{Dst: ip("10.0.0.2"), First: true, Interval: s}, "start sent reply done", 0},
		{"-b -c 2", ArpingRequest{Dst: ip("10.0.0.2"), Broadcast: true, Count: 2, Interval: s}, "start sent reply sent reply done", 2 * s},
		{"-D used", ArpingRequest{Dst: ip("10.0.0.2"), Mode: ArpingDAD, Count: 2, Interval: s}, "start sent reply done", 0},
		{"-D free", ArpingRequest{Dst: ip("10.0.0.9"), Mode: ArpingDAD, Count: 2, Interval: s}, "start sent sent done", 2 * s},
		{"-D our own", ArpingRequest{Dst: ip("10.0.0.1"), Mode: ArpingDAD, Dev: "eth0", Count: 2, Interval: s}, "start sent sent done", 2 * s},
		{"-D with a source", ArpingRequest{Dst: ip("10.0.0.2"), Src: ip("10.0.0.1"), Mode: ArpingDAD, Interval: s}, "start sent reply done", 0},
		{"-U", ArpingRequest{Dst: ip("10.0.0.1"), Dev: "eth0", Mode: ArpingAnnounce, Count: 2, Interval: s}, "start sent sent done", 2 * s},
		{"-A", ArpingRequest{Dst: ip("10.0.0.1"), Dev: "eth0", Mode: ArpingAnswer, Count: 1, Interval: s}, "start sent done", s},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := newNetwork(t)
				start := time.Now()
				list := n.arpingEvents(tc.r)
				require.Equal(t, tc.kinds, arpingKinds(list))
				require.Equal(t, tc.took, time.Since(start))
				if tc.r.Broadcast {
					require.True(t, list[3].Broadcast)
				}
			})
		})
	}
}

func TestArpingAnnouncements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		heard := n.bob.ARP().Listen(0, 8)
		defer heard.Close()
		five := ip("10.0.0.1")
		n.arpingEvents(ArpingRequest{Dst: five, Dev: "eth0", Mode: ArpingAnnounce, Count: 1, Interval: time.Second})
		require.Equal(t, arp.Packet{Op: arp.Request, SenderAddr: macAlice, SenderIP: five, TargetAddr: link.BroadcastAddr, TargetIP: five}, (<-heard.C).Packet)
		n.arpingEvents(ArpingRequest{Dst: five, Dev: "eth0", Mode: ArpingAnswer, Count: 1, Interval: time.Second})
		require.Equal(t, arp.Packet{Op: arp.Reply, SenderAddr: macAlice, SenderIP: five, TargetAddr: macAlice, TargetIP: five}, (<-heard.C).Packet)
		n.arpingEvents(ArpingRequest{Dst: ip("10.0.0.9"), Mode: ArpingDAD, Count: 1, Interval: time.Second})
		require.Equal(t, arp.Packet{Op: arp.Request, SenderAddr: macAlice, SenderIP: ip("0.0.0.0"), TargetAddr: link.BroadcastAddr, TargetIP: ip("10.0.0.9")}, (<-heard.C).Packet)
	})
}

// With -D whatever another host says from the address counts, also when it is
// said to everybody.
func TestArpingHearsOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		say := func(op arp.Op, target link.Addr) {
			time.Sleep(500 * time.Millisecond)
			require.NoError(t, n.bob.ARP().Send(2, link.BroadcastAddr, arp.Packet{
				Op: op, SenderAddr: macBob, SenderIP: ip("10.0.0.9"), TargetAddr: target, TargetIP: ip("10.0.0.9"),
			}))
		}
		c := &client{header: http.Header{}}
		done := make(chan struct{})
		ask := func(r ArpingRequest) {
			done, c = make(chan struct{}), &client{header: http.Header{}}
			go func() {
				defer close(done)
				n.srv.ServeHTTP(c, newRequest(ctx, t, "arping", r))
			}()
			synctest.Wait()
		}
		ask(ArpingRequest{Dst: ip("10.0.0.9"), Mode: ArpingDAD, Interval: time.Second})
		say(arp.Request, link.BroadcastAddr)
		<-done
		list := arpingEvents(t, c.b.String())
		require.Equal(t, "start sent reply done", arpingKinds(list))
		require.Equal(t, ArpingEvent{
			Kind: ArpingReply, Src: ip("10.0.0.9"), LLAddr: macBob, For: ip("10.0.0.9"), ForLLAddr: link.BroadcastAddr,
			Request: true, Broadcast: true, RTT: 500 * time.Millisecond,
		}, list[2])

		ask(ArpingRequest{Dst: ip("10.0.0.9"), Interval: time.Second})
		say(arp.Reply, macBob)
		synctest.Wait()
		cancel() // the client leaves
		<-done
		require.Equal(t, "start sent", arpingKinds(arpingEvents(t, c.b.String())), "not an answer to our question")
	})
}

func newRequest(ctx context.Context, t *testing.T, path string, in any) *http.Request {
	t.Helper()
	body, err := json.Marshal(in)
	require.NoError(t, err)
	return httptest.NewRequest(http.MethodPost, "/v1/"+path, strings.NewReader(string(body))).WithContext(ctx)
}

func TestArpingRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		no := false
		for _, tc := range []struct {
			r    ArpingRequest
			code int
			text string
		}{
			{ArpingRequest{Dst: ip("99.9.9.9")}, http.StatusUnprocessableEntity, "connect: network is unreachable"},
			{ArpingRequest{Dst: ip("10.0.0.255"), Dev: "eth0"}, http.StatusUnprocessableEntity, "connect: permission denied"},
			{ArpingRequest{Dst: ip("10.0.0.2"), Dev: "eth7"}, http.StatusNotFound, "device eth7"},
			{ArpingRequest{Dst: ip("127.0.0.1")}, http.StatusUnprocessableEntity, `Interface "lo" is not ARPable`},
			{ArpingRequest{Dst: ip("10.0.0.1")}, http.StatusUnprocessableEntity, `Interface "lo" is not ARPable`},
			{ArpingRequest{Dst: ip("10.0.0.2"), Src: ip("10.0.0.77")}, http.StatusUnprocessableEntity, "bind: cannot assign requested address"},
			{ArpingRequest{Dst: ip("10.0.0.77"), Mode: ArpingAnnounce}, http.StatusUnprocessableEntity, "bind: cannot assign requested address"},
			{ArpingRequest{Dst: ip("10.0.0.2"), Mode: "loud"}, http.StatusBadRequest, "no arping mode"},
			{ArpingRequest{Dst: ip("::1")}, http.StatusBadRequest, "IPv4"},
			{ArpingRequest{Dst: ip("10.0.0.2"), Count: -1}, http.StatusBadRequest, "negative"},
		} {
			n.refused("POST", "arping", tc.r, tc.code, tc.text)
		}
		list := n.arpingEvents(ArpingRequest{Dst: ip("99.9.9.9"), Dev: "eth0", Count: 1, Interval: time.Second})
		require.Equal(t, ip("10.0.0.1"), list[0].Src, "with a device it is taken to be on its link")
		n.post("link/set", LinkChange{Dev: "eth0", ARP: &no})
		n.refused("POST", "arping", ArpingRequest{Dst: ip("10.0.0.2"), Dev: "eth0"}, http.StatusUnprocessableEntity, `Interface "eth0" is not ARPable`)
		n.post("link/set", LinkChange{Dev: "eth0", Up: &no})
		n.refused("POST", "arping", ArpingRequest{Dst: ip("10.0.0.2"), Dev: "eth0"}, http.StatusUnprocessableEntity, `Interface "eth0" is down`)
	})
}
