package control

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

func TestStatus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		time.Sleep(90 * time.Second)
		var s Status
		n.get("status", &s)
		require.Equal(t, "alice", s.Name)
		require.Equal(t, "v1", s.Version)
		require.Equal(t, 90*time.Second, s.Uptime)
		require.Equal(t, []string{"echo"}, s.Services)
		require.Len(t, s.Links, 2)
	})
}

func TestLinkShowAndSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		show := func() Link {
			var list []Link
			n.get("link?dev=eth0", &list)
			require.Len(t, list, 1)
			return list[0]
		}
		require.Equal(t, Link{
			Index: 2, Name: "eth0", Flags: []string{"BROADCAST", "MULTICAST", "UP", "LOWER_UP"}, MTU: 1500, OperState: "UP", Type: "ether",
			Address: "02:00:00:00:00:01", Broadcast: "ff:ff:ff:ff:ff:ff",
			Addresses: []Address{{Local: ip("10.0.0.1"), PrefixLen: 24, Broadcast: ip("10.0.0.255"), Scope: "global"}}, Queues: 1,
		}, show())
		var all []Link
		n.get("link", &all)
		require.Equal(t, Link{
			Index: 1, Name: "lo", Flags: []string{"LOOPBACK", "UP", "LOWER_UP"}, MTU: 65536, OperState: "UNKNOWN", Type: "loopback",
			Address: "00:00:00:00:00:00", Broadcast: "00:00:00:00:00:00", Addresses: []Address{{Local: ip("127.0.0.1"), PrefixLen: 8, Scope: "host"}},
			Offloads: "sg csum tso4 uso4", Queues: 1,
		}, all[0])

		yes, no, mtu, big := true, false, 1400, 9000
		mac := link.Addr{2, 0, 0, 0, 0, 0xaa}
		n.post("link/set", LinkChange{Dev: "eth0", Carrier: &no})
		require.Equal(t, []string{"NO-CARRIER", "BROADCAST", "MULTICAST", "UP"}, show().Flags)
		require.Equal(t, "DOWN", show().OperState)
		n.post("link/set", LinkChange{Dev: "eth0", Up: &no, Carrier: &yes})
		require.Equal(t, []string{"BROADCAST", "MULTICAST"}, show().Flags)
		n.post("link/set", LinkChange{Dev: "eth0", Up: &yes, MTU: &mtu, Address: &mac, ARP: &yes})
		l := show()
		require.Equal(t, 1400, l.MTU)
		require.Equal(t, mac.String(), l.Address)
		require.Equal(t, "UP", l.OperState)

		n.refused("POST", "link/set", LinkChange{Dev: "eth7", Up: &yes}, http.StatusNotFound, "device eth7: no such device")
		n.refused("POST", "link/set", LinkChange{Dev: "eth0", MTU: &big}, http.StatusUnprocessableEntity, "device eth0: invalid argument")
		n.refused("POST", "link/set", LinkChange{Dev: "eth0", Address: &link.BroadcastAddr}, http.StatusUnprocessableEntity, "cannot assign requested address")
		n.refused("GET", "link?dev=eth7", nil, http.StatusNotFound, "no such device")
	})
}

func TestAddressCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		addrs := func(dev string) []Address {
			var list []Link
			n.get("addr?dev="+dev, &list)
			return list[0].Addresses
		}
		five := AddressRequest{Dev: "eth0", Prefix: netip.MustParsePrefix("10.0.0.5/24")}
		n.post("addr/add", five)
		require.Equal(t, Address{Local: ip("10.0.0.5"), PrefixLen: 24, Broadcast: ip("10.0.0.255"), Scope: "global", Secondary: true}, addrs("eth0")[1])
		n.refused("POST", "addr/add", five, http.StatusConflict, "address 10.0.0.5/24 dev eth0: file exists")
		n.post("addr/replace", five)
		n.post("addr/del", five)
		n.refused("POST", "addr/del", five, http.StatusUnprocessableEntity, "address 10.0.0.5/24 dev eth0: cannot assign requested address")
		n.post("addr/add", AddressRequest{Dev: "lo", Prefix: netip.MustParsePrefix("10.9.9.9/32"), Scope: "host"})
		require.Equal(t, Address{Local: ip("10.9.9.9"), PrefixLen: 32, Scope: "host"}, addrs("lo")[1])
		n.refused("POST", "addr/add", AddressRequest{Dev: "eth0", Prefix: five.Prefix, Scope: "town"}, http.StatusBadRequest, "no scope")
		n.refused("POST", "addr/add", AddressRequest{Dev: "eth7", Prefix: five.Prefix}, http.StatusNotFound, "device eth7")
	})
}

func TestRouteCommands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		routes := func(table string) (list []Route) {
			n.get("route?table="+table, &list)
			return list
		}
		all := netip.MustParsePrefix("0.0.0.0/0")
		via := func(a string) Route { return Route{Dst: all, Gateway: ip(a)} }
		connected := Route{Dst: netip.MustParsePrefix("10.0.0.0/24"), Dev: "eth0", Protocol: 2, Scope: "link", PrefSrc: ip("10.0.0.1"), Table: "main"}
		byDefault := Route{Dst: all, Gateway: ip("10.0.0.2"), Dev: "eth0", Protocol: 3, Scope: "global", Table: "main"}
		require.Equal(t, []Route{connected}, routes(""))
		n.post("route/add", via("10.0.0.2"))
		require.Equal(t, []Route{byDefault, connected}, routes("main"), "the default first, as Linux")
		n.refused("POST", "route/add", via("10.0.0.2"), http.StatusConflict, "route default: file exists")
		n.refused("POST", "route/add", Route{Dst: netip.MustParsePrefix("1.0.0.0/8"), Gateway: ip("99.0.0.1")}, http.StatusUnprocessableEntity, "route 1.0.0.0/8: network is unreachable")
		n.post("route/replace", via("10.0.0.9"))
		byDefault.Gateway = ip("10.0.0.9")
		require.Equal(t, []Route{byDefault, connected}, routes("main"))
		n.refused("POST", "route/replace", via("99.0.0.1"), http.StatusUnprocessableEntity, "network is unreachable")
		require.Equal(t, []Route{byDefault, connected}, routes("main"), "a replacement that fails leaves the old route")
		n.post("route/add", Route{Type: "unreachable", Dst: netip.MustParsePrefix("10.98.0.0/16")})
		require.Equal(t, "unreachable", routes("main")[2].Type)
		local := routes("local")
		require.Equal(t, "local", local[0].Type)
		require.Len(t, routes("all"), len(local)+3)

		get := func(q RouteQuery) (r Route) {
			rec := n.do("POST", "route/get", q)
			require.Equal(t, http.StatusOK, rec.Code, rec.Body)
			require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &r))
			return r
		}
		require.Equal(t, Route{Dst: netip.MustParsePrefix("8.8.8.8/32"), Gateway: ip("10.0.0.9"), Dev: "eth0", PrefSrc: ip("10.0.0.1")}, get(RouteQuery{Dst: ip("8.8.8.8")}))
		require.Equal(t, Route{Dst: netip.MustParsePrefix("10.0.0.2/32"), Dev: "eth0", PrefSrc: ip("10.0.0.1")}, get(RouteQuery{Dst: ip("10.0.0.2"), Oif: "eth0"}))
		require.Equal(t, "local", get(RouteQuery{Dst: ip("10.0.0.1")}).Type)
		require.Equal(t, "local", get(RouteQuery{Dst: ip("10.0.0.1"), From: ip("10.0.0.2"), Iif: "eth0"}).Type)
		require.Equal(t, "broadcast", get(RouteQuery{Dst: ip("10.0.0.255")}).Type)
		n.refused("POST", "route/get", RouteQuery{Dst: ip("10.98.0.1")}, http.StatusUnprocessableEntity, "no route to host")

		n.post("route/del", Route{Dst: all})
		n.refused("POST", "route/del", Route{Dst: all}, http.StatusNotFound, "route default: no such process")
		n.refused("POST", "route/add", Route{Dst: all, Dev: "eth7"}, http.StatusNotFound, "device eth7")
		n.refused("POST", "route/add", Route{Dst: all, Type: "scenic"}, http.StatusBadRequest, "no type of route")
	})
}

func TestSysctls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		get := func(query string) (list []Sysctl) {
			n.get("sysctl"+query, &list)
			return list
		}
		n.post("sysctl/set", Sysctl{"net.ipv4.conf.eth0.arp_ignore", "2"})
		require.Equal(t, []Sysctl{{"net.ipv4.conf.eth0.arp_ignore", "2"}}, get("?key=net.ipv4.conf.eth0.arp_ignore"))
		require.Equal(t, []Sysctl{{"net.ipv4.conf.eth0.arp_ignore", "2"}, {"net.ipv4.ip_forward", "0"}}, get("?key=net/ipv4/conf/eth0/arp_ignore&key=net.ipv4.ip_forward"))
		dir := get("?key=net.ipv4.neigh.eth0")
		require.Greater(t, len(dir), 10)
		require.Equal(t, "net.ipv4.neigh.eth0.anycast_delay", dir[0].Name)
		require.Greater(t, len(get("")), len(dir))
		n.refused("GET", "sysctl?key=net.ipv4.foo", nil, http.StatusNotFound, "sysctl net.ipv4.foo: no such file or directory")
		n.refused("POST", "sysctl/set", Sysctl{"net.ipv4.foo", "1"}, http.StatusNotFound, "no such file or directory")
		n.refused("POST", "sysctl/set", Sysctl{"net.ipv4.neigh.eth0.unres_qlen_bytes", "-1"}, http.StatusUnprocessableEntity, "sysctl net.ipv4.neigh.eth0.unres_qlen_bytes=-1: invalid argument")
	})
	require.Equal(t, "net.ipv4.conf.eth0/7.rp_filter", dotted("net/ipv4/conf/eth0.7/rp_filter"))
	require.Equal(t, "net.ipv4.conf.eth0/7.rp_filter", dotted("net.ipv4.conf.eth0/7.rp_filter"))
}

func TestNTableAndCounters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.post("sysctl/set", Sysctl{"net.ipv4.neigh.eth0.locktime", "50"})
		n.post("sysctl/set", Sysctl{"net.ipv4.neigh.default.gc_thresh3", "4096"})
		var list []NTable
		n.get("ntable", &list)
		require.Equal(t, &NTableLimits{Thresh1: 128, Thresh2: 512, Thresh3: 4096, GCInterval: 30000}, list[0].Limits)
		require.NotNil(t, list[0].Stats)
		require.Equal(t, []string{"", "lo", "eth0"}, []string{list[0].Dev, list[1].Dev, list[2].Dev})
		n.get("ntable?dev=eth0", &list)
		require.Len(t, list, 1)
		require.EqualValues(t, 500, list[0].LockTime)
		require.EqualValues(t, 30000, list[0].BaseReachable)
		require.Equal(t, 101, list[0].Queue)
		require.InDelta(t, 30000, list[0].Reachable, 15000)
		n.refused("GET", "ntable?dev=eth7", nil, http.StatusNotFound, "device eth7")

		conn, err := n.alice.Dial("udp", "10.0.0.9:9")
		require.NoError(t, err)
		_, err = conn.Write([]byte("x"))
		require.NoError(t, err)
		time.Sleep(5 * time.Second)
		require.NoError(t, conn.Close())
		var c Counters
		n.get("counters", &c)
		require.EqualValues(t, 1, c.Neigh["res_failed"])
		require.EqualValues(t, 1, c.Drops["NEIGH_FAILED"])
		require.EqualValues(t, 1, c.Protocols["UdpOutDatagrams"])
		require.Contains(t, c.Protocols, "TcpActiveOpens")
		require.Contains(t, c.Protocols, "IpInReceives")
		require.Contains(t, c.Protocols, "IcmpInMsgs")
		require.EqualValues(t, 3, c.Protocols["ArpOutRequests"])
		require.Contains(t, c.Protocols, "TcpExtArpFilter")
	})
}

func TestBlast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		rec := n.do("POST", "blast", BlastRequest{Base: ip("10.0.0.100"), Count: 5, Port: 9, Repeat: 2})
		var r BlastResult
		require.NoError(t, json.Unmarshal(rec.Body.Bytes(), &r), rec.Body)
		require.Equal(t, 10, r.Sent)
		require.Zero(t, r.Errors)
		var list []Neighbour
		n.get("neigh", &list)
		require.Len(t, list, 5)
		for i, x := range list {
			require.Equal(t, Neighbour{Dst: netip.AddrFrom4([4]byte{10, 0, 0, byte(100 + i)}), Dev: "eth0", State: "INCOMPLETE", Queued: 2, Confirmed: 60, Probes: x.Probes, RefCnt: 1}, x)
		}
		n.refused("POST", "blast", BlastRequest{Base: ip("10.0.0.1")}, http.StatusBadRequest, "count of at least 1")
		n.refused("POST", "blast", BlastRequest{Base: ip("255.255.255.250"), Count: 7, Port: 9}, http.StatusBadRequest, "go past 255.255.255.255")
		time.Sleep(5 * time.Second)
	})
}
