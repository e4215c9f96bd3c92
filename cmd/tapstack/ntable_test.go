package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack/control"
)

func ntables() []control.NTable {
	n := control.NTable{
		Name: "arp_cache", Reachable: 20220, BaseReachable: 30000, Retrans: 1000, GCStale: 60000, DelayProbe: 5000, Queue: 101,
		UcastProbes: 3, McastProbes: 3, AnycastDelay: 1000, ProxyDelay: 800, ProxyQueue: 64, LockTime: 1000,
	}
	dev := n
	dev.Dev, dev.Reachable = "v0", 21200
	n.Limits = &control.NTableLimits{Thresh1: 128, Thresh2: 512, Thresh3: 1024, GCInterval: 30000}
	n.Stats = &neighbour.Stats{Entries: 2, Allocs: 11, Destroys: 9, HashGrows: 1, ResFailed: 2, Lookups: 43, Hits: 12, PeriodicGCRuns: 60}
	return []control.NTable{n, dev}
}

func TestNTablesArePrintedAsIPDoes(t *testing.T) {
	require.Equal(t, `inet arp_cache 
    thresh1 128 thresh2 512 thresh3 1024 gc_int 30000 
    refcnt 1 reachable 20220 base_reachable 30000 retrans 1000 
    gc_stale 60000 delay_probe 5000 queue 101 
    app_probes 0 ucast_probes 3 mcast_probes 3 
    anycast_delay 1000 proxy_delay 800 proxy_queue 64 locktime 1000 

inet arp_cache 
    dev v0 
    refcnt 1 reachable 21200 base_reachable 30000 retrans 1000 
    gc_stale 60000 delay_probe 5000 queue 101 
    app_probes 0 ucast_probes 3 mcast_probes 3 
    anycast_delay 1000 proxy_delay 800 proxy_queue 64 locktime 1000 

`, string(printNTables(options{}, ntables())))
	require.Equal(t, `inet arp_cache 
    thresh1 128 thresh2 512 thresh3 1024 gc_int 30000 
    config key_len 4 entries 2 
    refcnt 1 reachable 20220 base_reachable 30000 retrans 1000 
    gc_stale 60000 delay_probe 5000 queue 101 
    app_probes 0 ucast_probes 3 mcast_probes 3 
    anycast_delay 1000 proxy_delay 800 proxy_queue 64 locktime 1000 
    stats allocs 11 destroys 9 hash_grows 1 
    res_failed 2 lookups 43 hits 12 
    rcv_probes_mcast 0 rcv_probes_ucast 0 
    periodic_gc_runs 60 forced_gc_runs 0 
    table_fulls 0 

`, string(printNTables(options{stats: 1}, ntables()[:1])))
	require.Equal(t, `[{"family":"inet","name":"arp_cache","dev":"v0","refcnt":1,"reachable":21200,"base_reachable":30000,"retrans":1000,"gc_stale":60000,"delay_probe":5000,"queue":101,"app_probes":0,"ucast_probes":3,"mcast_probes":3,"anycast_delay":1000,"proxy_delay":800,"proxy_queue":64,"locktime":1000}]
`, string(printNTables(options{json: true, stats: 1}, ntables()[1:])))
}

func TestNTableChanges(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want []control.Sysctl
		err  string
	}{
		{"milliseconds become the sysctl's unit", []string{"name", "arp_cache", "dev", "t0", "locktime", "0", "gc_stale", "2000", "proxy_delay", "800", "retrans", "300"}, []control.Sysctl{
			{Name: "net.ipv4.neigh.t0.locktime", Value: "0"}, {Name: "net.ipv4.neigh.t0.gc_stale_time", Value: "2"},
			{Name: "net.ipv4.neigh.t0.proxy_delay", Value: "80"}, {Name: "net.ipv4.neigh.t0.retrans_time_ms", Value: "300"},
		}, ""},
		{"the table's", []string{"name", "arp_cache", "thresh3", "4096"}, []control.Sysctl{{Name: "net.ipv4.neigh.default.gc_thresh3", Value: "4096"}}, ""},
		{"the default of an interface's", []string{"queue", "5", "name", "arp_cache"}, []control.Sysctl{{Name: "net.ipv4.neigh.default.unres_qlen", Value: "5"}}, ""},
		{"a threshold of a device", []string{"name", "arp_cache", "dev", "t0", "thresh3", "4096"}, nil, "belongs to the table"},
		{"no name", []string{"queue", "5"}, nil, "want `name arp_cache`"},
		{"another table", []string{"name", "ndisc_cache", "queue", "5"}, nil, "no table \"ndisc_cache\""},
		{"nothing to change", []string{"name", "arp_cache"}, nil, "what to change"},
		{"no value", []string{"name", "arp_cache", "queue"}, nil, "wants a value"},
		{"unknown", []string{"name", "arp_cache", "foo", "1"}, nil, "not understood"},
		{"no number", []string{"name", "arp_cache", "queue", "x"}, nil, "want a number"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ntableChanges(tc.args)
			if tc.err != "" {
				require.ErrorContains(t, err, tc.err)
				code, _ := exit(err)
				require.Equal(t, exitUsage, code)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}
