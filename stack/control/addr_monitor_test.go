package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/link"
)

// addressLines returns the events that a client received since last time.
func (c *client) addressLines(t *testing.T) (list []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s := bufio.NewScanner(bytes.NewReader(c.b.Bytes())); s.Scan(); {
		var ev AddressEvent
		require.NoError(t, json.Unmarshal(s.Bytes(), &ev))
		line := fmt.Sprintf("%s %s/%d", ev.Dev, ev.Address.Local, ev.Address.PrefixLen)
		for _, f := range []struct {
			on   bool
			word string
		}{{ev.Deleted, "deleted"}, {ev.Address.Secondary, "secondary"}, {ev.Address.Tentative, "tentative"}, {ev.Address.DADFailed, "dadfailed"}} {
			if f.on {
				line += " " + f.word
			}
		}
		list = append(list, line)
	}
	c.b.Reset()
	return list
}

func TestAddressMonitor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		address := func(s string) AddressRequest { return AddressRequest{Dev: "eth0", Prefix: netip.MustParsePrefix(s)} }
		n.post("addr/add", address("10.0.0.4/24"))
		ctx, cancel := context.WithCancel(t.Context())
		c := &client{header: http.Header{}}
		done := n.monitor(ctx, "addr/monitor", c)
		n.post("addr/add", address("10.0.0.5/24"))
		n.post("addr/replace", address("10.0.0.5/24")) // told once more, as Linux does
		n.refused("POST", "addr/add", address("10.0.0.5/24"), http.StatusConflict, "file exists")
		n.post("addr/del", address("10.0.0.4/24"))
		n.post("addr/del", address("10.0.0.1/24"))
		synctest.Wait()
		require.Equal(t, []string{
			"eth0 10.0.0.5/24 secondary", "eth0 10.0.0.5/24 secondary", "eth0 10.0.0.4/24 deleted secondary",
			"eth0 10.0.0.5/24 deleted secondary", "eth0 10.0.0.1/24 deleted", // with its primary
		}, c.addressLines(t))
		cancel()
		<-done
		require.Nil(t, n.srv.claims.last)
		n.post("addr/add", address("10.0.0.5/24"))
		require.Empty(t, c.addressLines(t))
	})
}

// An address by RFC 5227: shown as tentative while it is asked for, and taken
// away with the claim.
func TestAddressByACD(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(t)
		ctx, cancel := context.WithCancel(t.Context())
		c := &client{header: http.Header{}}
		done := n.monitor(ctx, "addr/monitor", c)
		claim := func(a, policy string) AddressRequest {
			return AddressRequest{Dev: "eth0", Prefix: netip.MustParsePrefix(a), ACD: policy}
		}
		last := func() Address {
			var list []Link
			n.get("addr?dev=eth0", &list)
			return list[0].Addresses[len(list[0].Addresses)-1]
		}
		seven := claim("10.0.0.7/24", "once")
		n.post("addr/add", seven)
		n.refused("POST", "addr/add", seven, http.StatusConflict, "address 10.0.0.7/24 dev eth0: file exists")
		n.post("addr/replace", seven)
		time.Sleep(time.Second)
		require.Equal(t, Address{Local: ip("10.0.0.7"), PrefixLen: 24, Scope: "global", Tentative: true, ACD: "probing"}, last())
		require.Equal(t, []string{"eth0 10.0.0.7/24 tentative"}, c.addressLines(t))
		time.Sleep(10 * time.Second)
		require.Equal(t, Address{Local: ip("10.0.0.7"), PrefixLen: 24, Broadcast: ip("10.0.0.255"), Scope: "global", Secondary: true, ACD: "held"}, last())
		require.Equal(t, []string{"eth0 10.0.0.7/24 secondary"}, c.addressLines(t))
		require.EqualValues(t, 3, n.alice.ARP().Stats.OutProbes.Load())

		// Bob uses it all the same, twice.
		for range 2 {
			require.NoError(t, n.bob.ARP().Send(2, link.BroadcastAddr, arp.Packet{
				Op: arp.Request, SenderAddr: macBob, SenderIP: ip("10.0.0.7"), TargetIP: ip("10.0.0.7"),
			}))
			time.Sleep(time.Second)
		}
		require.Equal(t, Address{Local: ip("10.0.0.7"), PrefixLen: 24, Scope: "global", Tentative: true, DADFailed: true, ACD: "refused"}, last())
		require.Equal(t, []string{"eth0 10.0.0.7/24 deleted secondary", "eth0 10.0.0.7/24 tentative dadfailed"}, c.addressLines(t))
		n.post("addr/del", seven)
		require.Equal(t, ip("10.0.0.1"), last().Local)
		synctest.Wait()
		require.Equal(t, []string{"eth0 10.0.0.7/24 deleted tentative dadfailed"}, c.addressLines(t))
		require.Empty(t, n.alice.AddressClaims())

		n.post("addr/add", claim("10.0.0.2/24", "never")) // bob's
		time.Sleep(10 * time.Second)
		require.True(t, last().DADFailed)
		n.post("addr/del", claim("10.0.0.2/24", ""))
		n.post("addr/add", claim("10.0.0.8/24", "always"))
		time.Sleep(10 * time.Second)
		n.post("addr/del", claim("10.0.0.8/24", ""))
		require.Empty(t, n.alice.AddressClaims(), "deleting the address ends the claim")
		n.refused("POST", "addr/add", claim("10.0.0.7/24", "twice"), http.StatusBadRequest, `acd "twice": want never, once or always`)
		n.refused("POST", "addr/add", AddressRequest{Dev: "lo", Prefix: netip.MustParsePrefix("10.0.0.7/32"), ACD: "once"},
			http.StatusUnprocessableEntity, "address 10.0.0.7/32 dev lo: operation not supported")
		cancel()
		<-done
	})
}
