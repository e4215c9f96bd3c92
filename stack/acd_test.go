package stack_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/stack"
	"github.com/tapstack/tapstack/stack/random"
	"github.com/tapstack/tapstack/stack/stacktest"
)

const claimTime = 10 * time.Second // longer than any claim takes

func address(s string) ipv4.Address { return ipv4.Address{Prefix: netip.MustParsePrefix(s)} }

// diary writes down the events of claims, and what the interface had then.
type diary struct {
	t     *testing.T
	h     *stack.Host
	mu    sync.Mutex
	lines []string
}

func (d *diary) notify(ev arp.ClaimEvent) {
	line := ev.Kind.String()
	if !ev.By.IsZero() {
		line += " by " + ev.By.String()
	}
	if ev.Err != nil {
		line += " " + ev.Err.Error()
	}
	line += " [" + addresses(d.h) + "]"
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

// want says what happened since the last call.
func (d *diary) want(why string, lines ...string) {
	d.t.Helper()
	synctest.Wait()
	d.mu.Lock()
	defer d.mu.Unlock()
	require.Equal(d.t, lines, d.lines, why)
	d.lines = nil
}

func addresses(h *stack.Host) string {
	var s []string
	for _, a := range h.IPv4().Addresses(h.Interface("eth0").Index()) {
		s = append(s, a.Prefix.String())
	}
	return strings.Join(s, " ")
}

// claimant is a host without an address that claims 10.0.0.7/24, and its LAN.
func claimant(t *testing.T, c arp.ClaimConfig, addr string) (*stacktest.LAN, *stack.Host, *diary, *stack.AddressClaim) {
	lan := stacktest.NewLAN(t)
	h := lan.Host(stacktest.HostConfig{Name: "alice", Addr: addr, Stack: stack.Config{Rand: random.New(5)}})
	d := &diary{t: t, h: h}
	c.Notify = d.notify
	claim, err := h.ClaimAddress("eth0", address("10.0.0.7/24"), c)
	require.NoError(t, err)
	return lan, h, d, claim
}

func TestClaimAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan, alice, d, claim := claimant(t, arp.ClaimConfig{}, "")
		bob := lan.Host(stacktest.HostConfig{Name: "bob", Addr: "10.0.0.2/24"})
		_, err := bob.Dial("udp", "10.0.0.7:7")
		require.NoError(t, err)
		time.Sleep(3 * time.Second)
		require.Equal(t, arp.ClaimProbing, claim.State())
		require.Empty(t, addresses(alice), "ACD-1 not before")
		time.Sleep(claimTime)
		d.want("ACD-4 usable at the first announcement", "probing []", "usable [10.0.0.7/24]")
		require.Equal(t, arp.ClaimHeld, claim.State())
		l, err := alice.Listen("tcp", "10.0.0.7:80")
		require.NoError(t, err)
		defer l.Close()
		c, err := bob.Dial("tcp", "10.0.0.7:80")
		require.NoError(t, err, "it works like any other")
		c.Close()
		require.Equal(t, "absent", state(bob, "0.0.0.0"), "ACD-7")
		require.Equal(t, []*stack.AddressClaim{claim}, alice.AddressClaims())
		require.Equal(t, "eth0 10.0.0.7/24", fmt.Sprint(claim.Interface().Name(), " ", claim.Address().Prefix))

		claim.Release()
		claim.Release()
		require.Empty(t, addresses(alice), "released with the claim")
		require.Empty(t, alice.AddressClaims())
		d.want("silently")
	})
}

// Two hosts that start at one time: no more than one may have the address.
func TestClaimAgainstClaim(t *testing.T) {
	for seed := range uint64(20) {
		synctest.Test(t, func(t *testing.T) {
			lan := stacktest.NewLAN(t)
			var claims [2]*stack.AddressClaim
			for n := range claims {
				h := lan.Host(stacktest.HostConfig{Stack: stack.Config{Rand: random.New(seed*2 + uint64(n))}})
				var err error
				claims[n], err = h.ClaimAddress("eth0", address("10.0.0.7/24"), arp.ClaimConfig{})
				require.NoError(t, err)
			}
			time.Sleep(time.Minute)
			require.False(t, claims[0].State().Usable() && claims[1].State().Usable(), "ACD-2 seed %d", seed)
		})
	}
}

func TestClaimOfATakenAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := stacktest.NewLAN(t)
		bob := lan.Host(stacktest.HostConfig{Name: "bob", Addr: "10.0.0.7/24"})
		alice := lan.Host(stacktest.HostConfig{Name: "alice"})
		d := &diary{t: t, h: alice}
		claim, err := alice.ClaimAddress("eth0", address("10.0.0.7/24"), arp.ClaimConfig{Retry: 20 * time.Second, Notify: d.notify})
		require.NoError(t, err)
		time.Sleep(claimTime)
		d.want("ACD-8 who has it answers the probe, with or without claims of its own", "probing []", "conflict by "+bob.Interface("eth0").Addr().String()+" []")
		require.Equal(t, arp.ClaimRefused, claim.State())
		require.NoError(t, bob.SetUp("eth0", false))
		time.Sleep(20*time.Second + claimTime)
		d.want("ACD-3 and when it has gone", "probing []", "usable [10.0.0.7/24]")
	})
}

// foe is an announcement of 10.0.0.7 by somebody else.
func foe() []byte {
	mac := link.Addr{2, 0, 0, 0, 0, 0xee}
	b := make([]byte, link.EthernetHeaderLen+arp.Len)
	link.Ethernet{Dst: link.BroadcastAddr, Src: mac, Type: link.ARP}.Put(b)
	it := netip.MustParseAddr("10.0.0.7")
	arp.Packet{Op: arp.Request, SenderAddr: mac, SenderIP: it, TargetIP: it}.Put(b[link.EthernetHeaderLen:])
	return b
}

func TestClaimedAddressIsLost(t *testing.T) {
	const by = " by 02:00:00:00:00:ee "
	for _, c := range []struct {
		name    string
		defence arp.Defence
		want    []string
		left    string
	}{
		{"ACD-6 (a)", arp.DefendNever, []string{"lost" + by + "[]"}, ""},
		{"ACD-6 (b)", arp.DefendOnce, []string{"defended" + by + "[10.0.0.7/24]", "lost" + by + "[]"}, ""},
		{"ACD-6 (c)", arp.DefendAlways, []string{"defended" + by + "[10.0.0.7/24]"}, "10.0.0.7/24"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lan, alice, d, _ := claimant(t, arp.ClaimConfig{Defence: c.defence}, "")
				station := lan.Station(link.Addr{2, 0, 0, 0, 0, 0xee})
				time.Sleep(claimTime)
				d.want("held", "probing []", "usable [10.0.0.7/24]")
				for range 2 {
					require.NoError(t, station.Send(foe()))
					synctest.Wait()
				}
				d.want("ACD-5 two conflicts", c.want...)
				require.Equal(t, c.left, addresses(alice))
			})
		})
	}
	t.Run("ACD-12 an address without a claim is not defended", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			lan := stacktest.NewLAN(t)
			alice := lan.Host(stacktest.HostConfig{Addr: "10.0.0.7/24"})
			station := lan.Station(link.Addr{2, 0, 0, 0, 0, 0xee})
			require.NoError(t, station.Send(foe()))
			time.Sleep(claimTime)
			require.Empty(t, station.Take(), "ARP-13")
			require.Equal(t, "10.0.0.7/24", addresses(alice))
		})
	})
}

// Whatever ends the link takes the address away at once; it is asked for anew.
func TestClaimedAddressFollowsTheLink(t *testing.T) {
	for _, c := range []struct {
		name   string
		act    func(h *stack.Host, claim *stack.AddressClaim) error
		undo   func(h *stack.Host) error
		events []string
	}{
		{"ACD-9 down and up",
			func(h *stack.Host, _ *stack.AddressClaim) error { return h.SetUp("eth0", false) },
			func(h *stack.Host) error { return h.SetUp("eth0", true) }, []string{"suspended []"}},
		{"ACD-9 carrier lost and back",
			func(h *stack.Host, _ *stack.AddressClaim) error { return h.SetCarrier("eth0", false) },
			func(h *stack.Host) error { return h.SetCarrier("eth0", true) }, []string{"suspended []"}},
		{"ACD-9 another hardware address",
			func(h *stack.Host, _ *stack.AddressClaim) error {
				return h.SetLLAddr("eth0", link.Addr{2, 0, 0, 0, 0, 0x77})
			}, nil, nil},
		{"ACD-9 resume", func(_ *stack.Host, c *stack.AddressClaim) error { c.Restart(); return nil }, nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, alice, d, claim := claimant(t, arp.ClaimConfig{}, "")
				time.Sleep(claimTime)
				route := ipv4.Route{Dst: netip.MustParsePrefix("0.0.0.0/0"), Gateway: netip.MustParseAddr("10.0.0.1")}
				require.NoError(t, alice.IPv4().AddRoute(route))
				routes := len(alice.IPv4().Routes())
				d.want("held", "probing []", "usable [10.0.0.7/24]")
				require.NoError(t, c.act(alice, claim))
				require.Empty(t, addresses(alice), "withdrawn before the call returns")
				if c.undo != nil {
					time.Sleep(time.Minute)
					d.want("told", c.events...)
					require.NoError(t, c.undo(alice))
				}
				require.Empty(t, addresses(alice), "not used unasked")
				time.Sleep(claimTime)
				d.want("asked for anew", "probing []", "usable [10.0.0.7/24]")
				if !strings.Contains(c.name, "down") { // which takes routes away by itself
					require.Len(t, alice.IPv4().Routes(), routes, "its routes are back")
				}
			})
		})
	}
	t.Run("ACD-9 not for other interfaces or routes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			lan, alice, d, _ := claimant(t, arp.ClaimConfig{}, "")
			time.Sleep(claimTime)
			d.want("held", "probing []", "usable [10.0.0.7/24]")
			lan.Attach(alice, "eth1", link.Addr{}, "10.0.1.1/24", nil)
			require.NoError(t, alice.SetUp("eth1", false))
			require.NoError(t, alice.IPv4().AddRoute(ipv4.Route{Gateway: netip.MustParseAddr("10.0.0.1")}))
			time.Sleep(time.Minute)
			d.want("nothing")
		})
	})
}

func TestClaimBesideOtherAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan, alice, d, claim := claimant(t, arp.ClaimConfig{}, "")
		time.Sleep(claimTime)
		require.NoError(t, alice.AddAddress("eth0", address("10.0.0.8/24")))
		d.want("held", "probing []", "usable [10.0.0.7/24]")
		require.NoError(t, alice.SetCarrier("eth0", false))
		require.Equal(t, "10.0.0.8/24", addresses(alice), "a secondary outlives the withdrawal of its primary")
		v, err := alice.Sysctl("net.ipv4.conf.eth0.promote_secondaries")
		require.NoError(t, err)
		require.Equal(t, "0", v, "which is no setting of the user's")
		require.NoError(t, alice.SetCarrier("eth0", true))
		time.Sleep(claimTime)
		require.Equal(t, "10.0.0.8/24 10.0.0.7/24", addresses(alice))

		require.NoError(t, alice.DeleteAddress("eth0", address("10.0.0.8/24")))
		require.Empty(t, addresses(alice), "deleting a primary takes its secondaries")
		require.Equal(t, arp.ClaimReleased, claim.State(), "and the claims to them")
		require.Empty(t, alice.AddressClaims())
		station := lan.Station(link.Addr{2, 0, 0, 0, 0, 0xee})
		require.NoError(t, station.Send(foe()))
		time.Sleep(time.Minute)
		require.Empty(t, station.Take())
	})
}

func TestDeletingAClaimedAddress(t *testing.T) {
	for name, wait := range map[string]time.Duration{"while probing": 2 * time.Second, "when held": claimTime} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, alice, _, claim := claimant(t, arp.ClaimConfig{}, "")
				time.Sleep(wait)
				require.ErrorIs(t, alice.AddAddress("eth0", address("10.0.0.7/24")), syscall.EEXIST)
				require.NoError(t, alice.DeleteAddress("eth0", address("10.0.0.7/24")))
				require.Equal(t, arp.ClaimReleased, claim.State())
				require.ErrorIs(t, alice.DeleteAddress("eth0", address("10.0.0.7/24")), syscall.EADDRNOTAVAIL)
				require.NoError(t, alice.AddAddress("eth0", address("10.0.0.7/24")))
				claim.Release()
				claim.Restart()
				time.Sleep(time.Minute)
				require.Equal(t, "10.0.0.7/24", addresses(alice), "an old claim has no say")
			})
		})
	}
}

func TestClaimsEndWithWhatTheyAreOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, alice, _, claim := claimant(t, arp.ClaimConfig{}, "")
		time.Sleep(time.Second)
		require.NoError(t, alice.RemoveInterface("eth0"))
		require.Equal(t, arp.ClaimReleased, claim.State())
		require.Empty(t, alice.AddressClaims())
	})
	synctest.Test(t, func(t *testing.T) {
		_, alice, d, claim := claimant(t, arp.ClaimConfig{}, "")
		time.Sleep(time.Second)
		d.want("under way", "probing []")
		require.NoError(t, alice.Close())
		require.Equal(t, arp.ClaimReleased, claim.State())
		time.Sleep(time.Minute)
		d.want("nothing after Close")
		_, err := alice.ClaimAddress("eth0", address("10.0.0.8/24"), arp.ClaimConfig{})
		require.ErrorIs(t, err, net.ErrClosed)
	})
}

func TestClaimAddressErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, alice, _, _ := claimant(t, arp.ClaimConfig{}, "10.0.0.1/24")
		for _, c := range []struct {
			dev, addr string
			want      error
		}{
			{"eth7", "10.0.0.9/24", syscall.ENODEV},
			{"eth0", "10.0.0.1/24", syscall.EEXIST},
			{"eth0", "10.0.0.7/24", syscall.EEXIST},
			{"eth0", "224.0.0.1/24", syscall.EINVAL},
			{"eth0", "fe80::1/64", syscall.EINVAL},
			{"lo", "10.0.0.9/24", syscall.EOPNOTSUPP},
		} {
			_, err := alice.ClaimAddress(c.dev, address(c.addr), arp.ClaimConfig{})
			require.ErrorIs(t, err, c.want, "%s %s", c.dev, c.addr)
		}
		_, err := alice.ClaimAddress("eth0", ipv4.Address{}, arp.ClaimConfig{})
		require.ErrorIs(t, err, syscall.EINVAL)
	})
}

// An address that IPv4 refuses in the end is lost, and the owner hears why.
func TestClaimOfAnImpossibleAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, alice, d, _ := claimant(t, arp.ClaimConfig{}, "10.0.0.1/24")
		bad := address("10.0.0.8/24")
		bad.Scope = ipv4.ScopeLink // its subnet has another
		_, err := alice.ClaimAddress("eth0", bad, arp.ClaimConfig{Notify: func(ev arp.ClaimEvent) {
			if ev.Err != nil {
				d.notify(arp.ClaimEvent{Kind: ev.Kind})
				require.ErrorIs(t, ev.Err, syscall.EINVAL)
			}
		}})
		require.NoError(t, err)
		time.Sleep(claimTime)
		synctest.Wait()
		require.Contains(t, strings.Join(d.lines, "\n"), "lost [10.0.0.1/24")
		require.Len(t, alice.AddressClaims(), 1, "the other one")
	})
}

// Links that change, conflicts and releases, all at once.
func TestClaimsUnderRaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan, alice, _, _ := claimant(t, arp.ClaimConfig{Retry: time.Second}, "10.0.0.1/24")
		station := lan.Station(link.Addr{2, 0, 0, 0, 0, 0xee})
		var wg sync.WaitGroup
		for n, f := range []func(){
			func() { _ = station.Send(foe()) },
			func() { _ = alice.SetCarrier("eth0", false); _ = alice.SetCarrier("eth0", true) },
			func() {
				if c, err := alice.ClaimAddress("eth0", address("10.0.0.9/24"), arp.ClaimConfig{}); err == nil {
					time.Sleep(4 * time.Second)
					c.Release()
				}
			},
			func() { _ = alice.SetLLAddr("eth0", link.Addr{2, 0, 0, 0, 0, 0x70}) },
			func() { alice.AddressClaims()[0].Restart() },
		} {
			wg.Go(func() {
				for k := range 40 {
					time.Sleep(time.Duration(n+k) * 350 * time.Millisecond)
					f()
				}
			})
		}
		wg.Wait()
		require.NoError(t, alice.SetLLAddr("eth0", link.Addr{2, 0, 0, 0, 0, 0x71}))
		for _, c := range alice.AddressClaims() {
			require.Equal(t, c.State().Usable(), strings.Contains(addresses(alice), c.Address().Prefix.String()))
		}
	})
}

func TestFilterOfAHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := stacktest.NewLAN(t)
		alice := lan.Host(stacktest.HostConfig{Addr: "10.0.0.1/24"})
		bob := lan.Host(stacktest.HostConfig{Addr: "10.0.0.2/24", Stack: stack.Config{ARP: arp.Config{
			Filter: func(d arp.Direction, iface int, a arp.Packet) bool { return d == arp.Out },
		}}})
		// Not a second, at whose third the SYN is due again.
		require.NoError(t, alice.SetSysctl("net.ipv4.neigh.eth0.retrans_time_ms", "900"))
		_, err := alice.Dial("tcp", "10.0.0.2:80")
		require.ErrorIs(t, err, syscall.EHOSTUNREACH, "ARP-34 bob does not hear requests")
		require.EqualValues(t, 3, bob.Drops().Count(link.ARPFilterRefuse))
		bob.ARP().SetFilter(nil)
		_, err = alice.Dial("tcp", "10.0.0.2:80")
		require.ErrorIs(t, err, syscall.ECONNREFUSED, "ARP-34 changed at run time")
	})
}
