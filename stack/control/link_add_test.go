package control

import (
	"fmt"
	"net/http"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/pipe"
)

func TestLinkAddAndDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		n.refused("POST", "link/add", LinkRequest{Name: "eth1"}, http.StatusUnprocessableEntity, "device eth1: operation not supported")
		var asked LinkRequest
		var device *pipe.Device
		n.srv.cfg.OpenLink = func(l LinkRequest) (link.Device, error) {
			if asked = l; l.Name == "busy" {
				return nil, fmt.Errorf("tap: busy is in use by another process; stop it: %w", syscall.EBUSY)
			}
			a, b := pipe.New(pipe.Config{Addrs: [2]link.Addr{l.Address}, MTU: l.MTU})
			device = a
			t.Cleanup(func() { b.Close() })
			return a, nil
		}
		want := LinkRequest{Name: "eth1", Type: "tap", Address: link.Addr{2, 0, 0, 0, 1, 1}, MTU: 1400, Peer: netip.MustParsePrefix("10.1.0.1/24")}
		n.post("link/add", want)
		require.Equal(t, want, asked)
		var list []Link
		n.get("link?dev=eth1", &list)
		require.Equal(t, []any{3, 1400, "02:00:00:00:01:01", "UP"}, []any{list[0].Index, list[0].MTU, list[0].Address, list[0].OperState})
		n.post("addr/add", AddressRequest{Dev: "eth1", Prefix: netip.MustParsePrefix("10.1.0.2/24")})

		n.refused("POST", "link/add", want, http.StatusConflict, "device eth1: file exists")
		n.refused("POST", "link/add", LinkRequest{Name: "busy"}, http.StatusUnprocessableEntity, "stop it")
		n.refused("POST", "link/add", LinkRequest{Name: "eth2", Type: "veth"}, http.StatusBadRequest, "there is only tap")
		n.refused("POST", "link/add", LinkRequest{Name: "all"}, http.StatusUnprocessableEntity, "device all: invalid argument")
		_, err := device.Read()
		require.Error(t, err, "the device of what could not be added is closed")

		n.post("link/del", LinkName{Dev: "eth1"})
		n.refused("GET", "link?dev=eth1", nil, http.StatusNotFound, "no such device")
		n.refused("POST", "link/del", LinkName{Dev: "eth1"}, http.StatusNotFound, "device eth1: no such device")
		n.refused("POST", "link/del", LinkName{Dev: "lo"}, http.StatusUnprocessableEntity, "device lo: operation not supported")
	})
}
