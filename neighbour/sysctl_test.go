package neighbour

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSysctlRanges(t *testing.T) {
	const big = "2147483647"
	for _, c := range []struct {
		rule, name, def string
		good, bad       []string
	}{
		{"SYSCTL-1", "mcast_solicit", "3", []string{"0", big}, []string{"-1", "2147483648", "x", ""}},
		{"SYSCTL-2", "ucast_solicit", "3", []string{"0", big}, []string{"-1"}},
		{"SYSCTL-3", "app_solicit", "0", []string{"0", big}, []string{"-1"}},
		{"SYSCTL-4", "mcast_resolicit", "0", []string{"0", big}, []string{"-1"}},
		{"SYSCTL-5", "retrans_time", "100", []string{"-1", "0", big}, []string{"2147483648"}},
		{"SYSCTL-5", "retrans_time_ms", "1000", []string{"0", big}, []string{"-1"}},
		{"SYSCTL-6", "base_reachable_time", "30", []string{"-1", "0", big}, []string{"1.5"}},
		{"SYSCTL-6", "base_reachable_time_ms", "30000", []string{"0", big}, []string{"-1"}},
		{"SYSCTL-7", "delay_first_probe_time", "5", []string{"-1", "0", big}, nil},
		{"SYSCTL-8", "interval_probe_time_ms", "5000", []string{"1", big}, []string{"0", "-1"}},
		{"SYSCTL-9", "gc_stale_time", "60", []string{"-1", "0", big}, nil},
		{"SYSCTL-10", "unres_qlen_bytes", "212992", []string{"0", big}, []string{"-1"}},
		{"SYSCTL-11", "unres_qlen", "101", []string{"0", "1027504"}, []string{"-1", "1027505"}},
		{"SYSCTL-12", "proxy_qlen", "64", []string{"0", big}, []string{"-1"}},
		{"SYSCTL-13", "proxy_delay", "80", []string{"-1", "0", big}, nil},
		{"SYSCTL-14 TMR-14", "anycast_delay", "100", []string{"-1", "0", big}, nil},
		{"SYSCTL-15", "locktime", "100", []string{"-1", "0", big}, nil},
		{"SYSCTL-16", "gc_thresh1", "128", []string{"0", big}, []string{"-1"}},
		{"SYSCTL-17", "gc_thresh2", "512", []string{"0", big}, []string{"-1"}},
		{"SYSCTL-18", "gc_thresh3", "1024", []string{"0", big}, []string{"-1"}},
		{"SYSCTL-19", "gc_interval", "30", []string{"-1", "0", big}, nil},
	} {
		t.Run(c.rule+" "+c.name, func(t *testing.T) {
			p := DefaultParams()
			inBubble(t, Config{Params: &p}, func(b *bed) {
				devs := []string{"default", "t0"}
				k, _, err := b.table.findKnob("default", c.name)
				require.NoError(t, err)
				if k.tableWide() {
					devs = devs[:1]
					_, err = b.table.Sysctl("t0", c.name)
					require.ErrorIs(t, err, syscall.ENOENT)
				}
				for _, dev := range devs {
					v, err := b.table.Sysctl(dev, c.name)
					require.NoError(t, err)
					require.Equal(t, c.def, v)
					for _, good := range c.good {
						require.NoError(t, b.table.SetSysctl(dev, c.name, good), good)
						v, _ = b.table.Sysctl(dev, c.name)
						require.Equal(t, good, v)
					}
					for _, bad := range c.bad {
						require.ErrorIs(t, b.table.SetSysctl(dev, c.name, bad), syscall.EINVAL, bad)
					}
					require.NoError(t, b.table.SetSysctl(dev, c.name, c.def))
				}
			})
		})
	}
}

func TestSysctlViews(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) { // SYSCTL-20, SYSCTL-21, SYSCTL-11
		for _, c := range [][4]string{
			{"retrans_time_ms", "4", "retrans_time", "0"},
			{"retrans_time", "123", "retrans_time_ms", "1230"},
			{"base_reachable_time", "7", "base_reachable_time_ms", "7000"},
			{"base_reachable_time_ms", "7999", "base_reachable_time", "7"},
			{"unres_qlen", "3", "unres_qlen_bytes", "6270"},
			{"unres_qlen_bytes", "4179", "unres_qlen", "1"},
		} {
			require.NoError(t, b.table.SetSysctl("t0", c[0], c[1]))
			v, err := b.table.Sysctl("t0", c[2])
			require.NoError(t, err)
			require.Equal(t, c[3], v, fmt.Sprint(c))
		}
		_, err := b.table.Sysctl("all", "locktime")
		require.ErrorIs(t, err, syscall.ENODEV)
		require.ErrorIs(t, b.table.SetSysctl("t0", "nothing", "1"), syscall.ENOENT)
		require.Len(t, b.table.SysctlNames("t0"), 17)
		require.Len(t, b.table.SysctlNames("default"), 21)
	})
}

func TestSetParams(t *testing.T) {
	inBubble(t, Config{}, func(b *bed) {
		p, err := b.table.Params(1)
		require.NoError(t, err)
		p.LockTime, p.UnresQueueBytes, p.BaseReachableTime = 7*time.Millisecond, 4000, time.Hour
		require.NoError(t, b.table.SetParams(1, p))
		got, err := b.table.Params(1)
		require.NoError(t, err)
		require.Equal(t, p, got)
		require.Greater(t, b.reachable(), 29*time.Minute)
		def, err := b.table.Params(0)
		require.NoError(t, err)
		require.Equal(t, *testParams(), def)

		p.UcastProbes = -1
		require.ErrorIs(t, b.table.SetParams(1, p), syscall.EINVAL)
		require.ErrorIs(t, b.table.SetParams(9, p), syscall.ENODEV)
		_, err = b.table.Params(9)
		require.ErrorIs(t, err, syscall.ENODEV)
		_, err = b.table.ReachableTime(9)
		require.ErrorIs(t, err, syscall.ENODEV)
		require.Equal(t, DefaultLimits(), b.table.Limits())
	})
}
