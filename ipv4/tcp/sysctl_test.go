package tcp

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSysctl(t *testing.T) {
	bubble(t, "values", Config{}, func(tc *testConn) {
		t := tc.t
		for name, want := range map[string]string{
			"tcp_available_congestion_control": "cubic reno", "tcp_congestion_control": "cubic", "tcp_ecn": "2",
			"tcp_moderate_rcvbuf": "1", "tcp_rmem": "4096\t131072\t6291456", "tcp_slow_start_after_idle": "1",
			"tcp_syncookies": "1", "tcp_wmem": "4096\t65536\t4194304",
		} {
			got, err := tc.pr.Sysctl(name)
			require.NoError(t, err)
			require.Equal(t, want, got, name)
			require.Contains(t, SysctlNames(), name)
		}
		require.Len(t, SysctlNames(), 8)
		for _, x := range []struct {
			name, value string
			err         error
		}{
			{"tcp_congestion_control", "reno", nil}, {"tcp_congestion_control", "vegas", syscall.ENOENT},
			{"tcp_available_congestion_control", "reno", syscall.EACCES}, {"tcp_nothing", "1", syscall.ENOENT},
			{"tcp_ecn", "1", nil}, {"tcp_ecn", "3", syscall.EINVAL}, {"tcp_syncookies", "0", nil}, {"tcp_moderate_rcvbuf", "x", syscall.EINVAL},
			{"tcp_rmem", "4096 60000 70000", nil}, {"tcp_rmem", "1 2", syscall.EINVAL}, {"tcp_wmem", "1 2 -3", syscall.EINVAL},
			{"tcp_slow_start_after_idle", "0", nil},
		} {
			err := tc.pr.SetSysctl(x.name, x.value)
			require.ErrorIs(t, err, x.err, x.name)
			if x.err == nil && x.name != "tcp_rmem" {
				got, _ := tc.pr.Sysctl(x.name)
				require.Equal(t, x.value, got)
			}
		}
		_, err := tc.pr.Sysctl("tcp_nothing")
		require.ErrorIs(t, err, syscall.ENOENT)
		require.NoError(t, tc.pr.SetSysctl("tcp_ecn", "2"))
		tc.active(plain)
		i := tc.conn.Info()
		require.Equal(t, "reno", i.Congestion)
		require.Equal(t, 60000, i.RcvBuf)
	})
}

func TestSetCongestion(t *testing.T) {
	bubble(t, "while it runs", Config{}, func(tc *testConn) {
		tc.active(plain)
		require.Equal(tc.t, "cubic", tc.conn.Info().Congestion)
		tc.write("x")
		require.NoError(tc.t, tc.conn.SetCongestion("reno"))
		require.Equal(tc.t, "reno", tc.conn.Info().Congestion)
		require.ErrorIs(tc.t, tc.conn.SetCongestion("bbr"), syscall.ENOENT)
		require.Equal(tc.t, "reno", tc.conn.flow.cc.name())
		tc.sent = nil
	})
	bubble(t, "of a socket", Config{}, func(tc *testConn) {
		_, err := tc.pr.Dial(t.Context(), netip.AddrPort{}, netip.MustParseAddrPort("10.0.0.2:80"), SocketConfig{Congestion: "vegas"})
		require.ErrorIs(tc.t, err, syscall.ENOENT)
		_, err = tc.pr.Listen(netip.AddrPort{}, SocketConfig{Congestion: "vegas"})
		require.ErrorIs(tc.t, err, syscall.ENOENT)
		tc.active(SocketConfig{Congestion: "reno", NoTimestamps: true})
		require.Equal(tc.t, "reno", tc.conn.Info().Congestion)
	})
}
