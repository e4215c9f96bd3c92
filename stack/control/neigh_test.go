package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

var mac9 = link.Addr{2, 0, 0, 0, 0, 9}

func TestNeighCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		nine := NeighRequest{Dst: ip("10.0.0.9"), Dev: "eth0", LLAddr: &mac9, Router: true}
		n.refused("POST", "neigh/change", nine, http.StatusNotFound, "neighbour 10.0.0.9 dev eth0: no such file or directory")
		n.post("neigh/add", nine)
		n.refused("POST", "neigh/add", nine, http.StatusConflict, "neighbour 10.0.0.9 dev eth0: file exists")
		stale := nine
		stale.State = "stale"
		n.post("neigh/replace", stale)

		var got Neighbour
		n.get("neigh/get?to=10.0.0.9&dev=eth0", &got)
		require.Equal(t, Neighbour{Dst: ip("10.0.0.9"), Dev: "eth0", LLAddr: mac9.String(), Router: true, State: "STALE", Confirmed: got.Confirmed}, got)
		time.Sleep(7 * time.Second)
		n.get("neigh/get?to=10.0.0.9&dev=eth0", &got)
		require.Equal(t, 7, got.Updated)

		n.post("neigh/del", nine)
		n.refused("POST", "neigh/del", nine, http.StatusNotFound, "no such file or directory")
		n.refused("GET", "neigh/get?to=10.0.0.9&dev=eth0", nil, http.StatusNotFound, "neighbour 10.0.0.9 dev eth0")
		n.refused("GET", "neigh/get?to=x&dev=eth0", nil, http.StatusBadRequest, "want an IPv4 address")
		n.refused("POST", "neigh/add", NeighRequest{Dst: ip("10.0.0.9"), Dev: "eth7"}, http.StatusNotFound, "device eth7: no such device")
		n.refused("POST", "neigh/add", NeighRequest{Dst: ip("10.0.0.9"), Dev: "eth0", State: "lost"}, http.StatusBadRequest, "no nud state")
		n.refused("POST", "neigh/add", map[string]any{"dst": "10.0.0.9", "colour": "red"}, http.StatusBadRequest, "unknown field")
	})
}

func TestNeighShowFilters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		for i, st := range []string{"permanent", "noarp", "stale", "reachable", "none", "failed"} {
			a := netip.AddrFrom4([4]byte{10, 0, 0, byte(20 + i)})
			n.post("neigh/add", NeighRequest{Dst: a, Dev: "eth0", LLAddr: &mac9, State: st})
		}
		show := func(f NeighFilter) (list []string) {
			var out []Neighbour
			n.get("neigh?"+f.Query().Encode(), &out)
			for _, x := range out {
				list = append(list, x.Dst.String()+" "+x.State)
			}
			return list
		}
		require.Equal(t, []string{"10.0.0.20 PERMANENT", "10.0.0.22 STALE", "10.0.0.23 REACHABLE", "10.0.0.25 FAILED"}, show(NeighFilter{}), "ENT-16 NONE and NOARP are hidden")
		require.Equal(t, []string{"10.0.0.20 PERMANENT", "10.0.0.21 NOARP", "10.0.0.22 STALE", "10.0.0.23 REACHABLE", "10.0.0.24 NONE", "10.0.0.25 FAILED"}, show(NeighFilter{NUD: []string{"all"}}))
		require.Equal(t, []string{"10.0.0.24 NONE"}, show(NeighFilter{NUD: []string{"none"}}))
		require.Equal(t, []string{"10.0.0.21 NOARP", "10.0.0.22 STALE"}, show(NeighFilter{NUD: []string{"noarp", "stale"}}))
		require.Equal(t, []string{"10.0.0.20 PERMANENT"}, show(NeighFilter{To: netip.MustParsePrefix("10.0.0.20/31")}))
		require.Empty(t, show(NeighFilter{Dev: "lo"}))
		n.refused("GET", "neigh?dev=eth7", nil, http.StatusNotFound, "device eth7")
		n.refused("GET", "neigh?nud=x", nil, http.StatusBadRequest, "no nud state")
		n.refused("GET", "neigh?to=x", nil, http.StatusBadRequest, "want a prefix")

		flush := func(f NeighFilter) int {
			rec := n.do("POST", "neigh/flush", f)
			var d Deleted
			require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &d), rec.Body)
			return d.Deleted
		}
		require.Equal(t, 1, flush(NeighFilter{NUD: []string{"stale"}}))
		flush(NeighFilter{Dev: "eth0"})
		require.Equal(t, []string{"10.0.0.20 PERMANENT", "10.0.0.21 NOARP"}, show(NeighFilter{NUD: []string{"permanent", "noarp", "reachable"}}), "flush spares permanent and noarp")
		flush(NeighFilter{NUD: []string{"all"}})
		require.Empty(t, show(NeighFilter{NUD: []string{"permanent", "noarp"}}))
	})
}

func TestProxyEntries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		p := NeighRequest{Dst: ip("10.0.0.77"), Dev: "eth0", Proxy: true}
		n.post("neigh/add", p)
		n.post("neigh/add", p) // as with ip: adding it again is no error
		var list []Neighbour
		n.get("neigh?proxy=1", &list)
		require.Equal(t, []Neighbour{{Dst: ip("10.0.0.77"), Dev: "eth0", Proxy: true}}, list)
		n.get("neigh?proxy=1&dev=lo", &list)
		require.Empty(t, list)
		n.get("neigh", &list)
		require.Empty(t, list)
		var one Neighbour
		n.get("neigh/get?proxy=1&to=10.0.0.77&dev=eth0", &one)
		require.True(t, one.Proxy)
		n.post("neigh/del", p)
		n.refused("POST", "neigh/del", p, http.StatusNotFound, "proxy neighbour 10.0.0.77 dev eth0: no such file or directory")
		n.post("neigh/add", p)
		n.post("neigh/flush", NeighFilter{Proxy: true})
		n.get("neigh?proxy=1", &list)
		require.Empty(t, list)
	})
}

// As `ip neigh flush` does, it takes along what a control plane learned.
func TestFlushListsWhatItDeletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		add := func(a, state string, learned bool) {
			n.post("neigh/add", NeighRequest{Dst: ip(a), Dev: "eth0", LLAddr: &mac9, State: state, ExternLearn: learned})
		}
		add("10.0.0.20", "stale", false)
		add("10.0.0.21", "permanent", false)
		add("10.0.0.22", "permanent", true)
		add("10.0.0.23", "noarp", false)
		flush := func(f NeighFilter) (d Deleted) {
			rec := n.do(http.MethodPost, "neigh/flush", f)
			require.Equal(t, http.StatusOK, rec.Code, rec.Body)
			require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &d))
			return d
		}
		require.Equal(t, Deleted{Deleted: 2}, flush(NeighFilter{}))
		d := flush(NeighFilter{NUD: []string{"noarp"}, List: true})
		require.Equal(t, 1, d.Deleted)
		require.Equal(t, []any{ip("10.0.0.23"), "NOARP"}, []any{d.Entries[0].Dst, d.Entries[0].State})
		require.Equal(t, 1, flush(NeighFilter{NUD: []string{"all"}}).Deleted)
		n.refused("POST", "neigh/add", NeighRequest{Dst: ip("10.0.0.20"), Dev: "eth0"}, http.StatusUnprocessableEntity,
			"neighbour 10.0.0.20 dev eth0: no link layer address given")
	})
}

// client is a ResponseWriter that may read slowly.
type client struct {
	mu     sync.Mutex
	b      bytes.Buffer
	header http.Header
	block  chan struct{} // Write waits for it, if it is not nil
}

func (c *client) Header() http.Header { return c.header }
func (c *client) WriteHeader(int)     {}
func (c *client) Write(b []byte) (int, error) {
	if c.block != nil {
		<-c.block
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.Write(b)
}

func (c *client) events(t *testing.T) (list []Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := bufio.NewScanner(bytes.NewReader(c.b.Bytes())); s.Scan(); {
		var ev Event
		require.NoError(t, json.Unmarshal(s.Bytes(), &ev))
		list = append(list, ev)
	}
	return list
}

func (n *network) monitor(ctx context.Context, path string, c *client) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.srv.ServeHTTP(c, httptest.NewRequest("GET", "/v1/"+path, nil).WithContext(ctx))
	}()
	synctest.Wait()
	return done
}

func TestMonitorTellsWhatLinuxAnnounces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		ctx, cancel := context.WithCancel(t.Context())
		announced, everything := &client{header: http.Header{}}, &client{header: http.Header{}}
		done1, done2 := n.monitor(ctx, "neigh/monitor", announced), n.monitor(ctx, "neigh/monitor?all=true", everything)
		conn, err := n.alice.Dial("udp", "10.0.0.9:9")
		require.NoError(t, err)
		_, err = conn.Write([]byte("anyone?"))
		require.NoError(t, err)
		time.Sleep(10 * time.Second)
		require.NoError(t, conn.Close())
		cancel()
		<-done1
		<-done2

		evs := announced.events(t)
		require.Len(t, evs, 1, "NTF-2 only the failure is announced")
		require.Equal(t, "RTM_NEWNEIGH", evs[0].Announced)
		require.Equal(t, []string{"INCOMPLETE", "FAILED", "timer"}, []string{evs[0].From, evs[0].To, evs[0].Cause})
		require.Equal(t, ip("10.0.0.9"), evs[0].Neighbour.Dst)
		kinds := map[string]int{}
		for _, ev := range everything.events(t) {
			if ev.Neighbour.Dst == ip("10.0.0.9") {
				kinds[ev.Kind]++
			}
		}
		require.Equal(t, map[string]int{"created": 1, "changed": 2, "queued": 1, "solicited": 3, "unreached": 1}, kinds)
	})
}

// A slow reader holds nothing up, and is told what it missed.
func TestMonitorOfASlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		ctx, cancel := context.WithCancel(t.Context())
		slow := &client{header: http.Header{}, block: make(chan struct{})}
		done := n.monitor(ctx, "neigh/monitor", slow)
		const changes = 3 * monitorBuffer
		for i := range changes {
			mac := link.Addr{2, 0, 0, 1, byte(i >> 8), byte(i)}
			n.post("neigh/replace", NeighRequest{Dst: ip("10.0.0.9"), Dev: "eth0", LLAddr: &mac})
		}
		close(slow.block)
		synctest.Wait()
		n.post("neigh/del", NeighRequest{Dst: ip("10.0.0.9"), Dev: "eth0"})
		synctest.Wait()
		cancel()
		<-done
		evs := slow.events(t)
		told := uint64(len(evs))
		for _, ev := range evs {
			told += ev.Missed
		}
		require.Less(t, len(evs), changes)
		require.GreaterOrEqual(t, told, uint64(changes), "every change is told or counted")
		require.Equal(t, "RTM_DELNEIGH", evs[len(evs)-1].Announced)
	})
}
