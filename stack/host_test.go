package stack_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/ipv4/icmp"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/fault"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack"
	"github.com/tapstack/tapstack/stack/random"
	"github.com/tapstack/tapstack/stack/stacktest"
)

// pair is two hosts on a LAN: alice 10.0.0.1 and bob 10.0.0.2.
func pair(t *testing.T) (alice, bob *stack.Host) {
	lan := stacktest.NewLAN(t)
	return lan.Host(stacktest.HostConfig{Name: "alice", Addr: "10.0.0.1/24"}), lan.Host(stacktest.HostConfig{Name: "bob", Addr: "10.0.0.2/24"})
}

func state(h *stack.Host, ip string) string {
	i := h.Interface("eth0")
	e, ok := h.Neighbours().Lookup(i.Index(), netip.MustParseAddr(ip))
	if !ok {
		return "absent"
	}
	return e.State.String()
}

func TestPing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob := pair(t)
		c, err := alice.ICMP().ListenEcho(netip.Addr{}, 0)
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, c.Send(icmp.EchoRequest{Dst: netip.MustParseAddr("10.0.0.2"), Seq: 1, Payload: []byte("hello")}))
		r, err := c.Receive(context.Background())
		require.NoError(t, err)
		require.Equal(t, netip.MustParseAddr("10.0.0.2"), r.From)
		require.Equal(t, "hello", string(r.Payload))
		require.Equal(t, "REACHABLE", state(alice, "10.0.0.2"), "the answer to the request")
		require.NotEqual(t, "absent", state(bob, "10.0.0.1"), "the request itself")
	})
}

func TestHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob := pair(t)
		l, err := bob.Listen("tcp", ":80")
		require.NoError(t, err)
		srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s said %x", r.RemoteAddr, sha256.Sum256(body))
		})}
		go srv.Serve(l)
		defer srv.Close()

		tr := &http.Transport{DialContext: alice.DialContext}
		defer tr.CloseIdleConnections()
		body := pattern(1 << 20)
		resp, err := (&http.Client{Transport: tr}).Post("http://10.0.0.2/", "application/octet-stream", &body)
		require.NoError(t, err)
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		sum := sha256.New()
		same := pattern(1 << 20)
		io.Copy(sum, &same)
		require.Regexp(t, fmt.Sprintf(`^10\.0\.0\.1:\d+ said %x$`, sum.Sum(nil)), string(got))
	})
}

// pattern is a reader of that many bytes that differ along the way.
type pattern int

func (p *pattern) Read(b []byte) (int, error) {
	if *p == 0 {
		return 0, io.EOF
	}
	n := min(len(b)&^7, int(*p))
	if n == 0 {
		n = min(len(b), int(*p))
	}
	for i := 0; i+8 <= n; i += 8 {
		binary.BigEndian.PutUint64(b[i:], uint64(*p)-uint64(i))
	}
	*p -= pattern(n)
	return n, nil
}

// Ten datagrams to a neighbour that is not known yet wait for one exchange of
// ARP and arrive in order.
func TestDatagramsWaitForResolution(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob := pair(t)
		in, err := bob.ListenPacket("udp", ":7000")
		require.NoError(t, err)
		defer in.Close()
		events := alice.Neighbours().Subscribe(100)
		defer events.Close()
		out, err := alice.Dial("udp", "10.0.0.2:7000")
		require.NoError(t, err)
		defer out.Close()
		for n := range 10 {
			_, err := fmt.Fprintf(out, "datagram %d", n)
			require.NoError(t, err)
		}
		b := make([]byte, 100)
		for n := range 10 {
			k, from, err := in.ReadFrom(b)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprintf("datagram %d", n), string(b[:k]), "in the order of sending")
			require.Equal(t, "10.0.0.1", from.(*net.UDPAddr).IP.String())
		}
		require.EqualValues(t, 1, alice.ARP().Stats.OutRequests.Load(), "one request for all")
	})
}

func TestSilentNeighbour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := stacktest.NewLAN(t)
		alice := lan.Host(stacktest.HostConfig{Name: "alice", Addr: "10.0.0.1/24"})
		station := lan.Station(link.Addr{2, 0, 0, 0, 0, 0xee})
		// Not a second, at whose third the SYN is due again.
		require.NoError(t, alice.SetSysctl("net.ipv4.neigh.eth0.retrans_time_ms", "900"))
		start := time.Now()
		_, err := alice.Dial("tcp", "10.0.0.99:80")
		require.ErrorIs(t, err, syscall.EHOSTUNREACH, "L3-11")
		require.Equal(t, 2700*time.Millisecond, time.Since(start), "TMR-2 three requests, retrans_time apart")
		require.Equal(t, "FAILED", state(alice, "10.0.0.99"))
		synctest.Wait()
		require.Len(t, station.Take(), 3, "three broadcast requests")
	})
}

func TestOwnAddressesLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := stacktest.NewLAN(t)
		alice := lan.Host(stacktest.HostConfig{Name: "alice", Addr: "10.0.0.1/24"})
		station := lan.Station(link.Addr{2, 0, 0, 0, 0, 0xee})
		for _, addr := range []string{"127.0.0.1:7000", "10.0.0.1:7000"} {
			l, err := alice.Listen("tcp", addr)
			require.NoError(t, err)
			go func() {
				c, err := l.Accept()
				if err == nil {
					io.Copy(c, c)
					c.Close()
				}
			}()
			c, err := alice.Dial("tcp", addr)
			require.NoError(t, err)
			fmt.Fprint(c, "to myself")
			require.NoError(t, c.(interface{ CloseWrite() error }).CloseWrite())
			got, err := io.ReadAll(c)
			require.NoError(t, err)
			require.Equal(t, "to myself", string(got))
			c.Close()
			l.Close()
		}
		synctest.Wait()
		require.Empty(t, station.Take(), "nothing of it on the wire")
	})
}

func TestTransferOverALossyLAN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := stacktest.NewLAN(t)
		lossy := func(seed uint64) func(link.Device) link.Device {
			return func(d link.Device) link.Device {
				f := fault.Faults{Loss: 0.02, Duplicate: 0.01, Reorder: 0.01, Corrupt: 0.01}
				return fault.New(d, fault.Config{Rand: random.New(seed), In: f, Out: f})
			}
		}
		alice := lan.Host(stacktest.HostConfig{Name: "alice", Addr: "10.0.0.1/24", Wrap: lossy(1)})
		bob := lan.Host(stacktest.HostConfig{Name: "bob", Addr: "10.0.0.2/24", Wrap: lossy(2)})
		l, err := bob.Listen("tcp", ":9000")
		require.NoError(t, err)
		defer l.Close()
		const size = 4 << 20
		sum := make(chan [32]byte, 1)
		go func() {
			c, err := l.Accept()
			if err != nil {
				return
			}
			defer c.Close()
			h := sha256.New()
			io.Copy(h, c)
			sum <- [32]byte(h.Sum(nil))
		}()
		c, err := alice.Dial("tcp", "10.0.0.2:9000")
		require.NoError(t, err)
		h := sha256.New()
		body := pattern(size)
		_, err = io.Copy(c, io.TeeReader(&body, h))
		require.NoError(t, err)
		require.NoError(t, c.Close())
		require.Equal(t, [32]byte(h.Sum(nil)), <-sum, "every byte, once, in order")
	})
}

func TestInterfaceErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := stacktest.NewLAN(t)
		h := lan.Host(stacktest.HostConfig{Addr: "10.0.0.1/24"})
		dup := ipv4.Address{Prefix: netip.MustParsePrefix("10.0.0.1/24")}
		require.ErrorIs(t, h.AddAddress("eth0", dup), syscall.EEXIST)
		require.ErrorIs(t, h.AddAddress("eth7", dup), syscall.ENODEV)
		require.ErrorIs(t, h.DeleteAddress("eth0", ipv4.Address{Prefix: netip.MustParsePrefix("10.0.0.9/24")}), syscall.EADDRNOTAVAIL)
		require.ErrorIs(t, h.SetUp("eth7", true), syscall.ENODEV)
		require.ErrorIs(t, h.SetLLAddr("eth0", link.BroadcastAddr), syscall.EADDRNOTAVAIL)
		require.ErrorIs(t, h.RemoveInterface("lo"), syscall.ENODEV)
		for _, name := range []string{"", "all", "default", "sixteen-chars-xx", "a/b", "a b"} {
			lan := stacktest.NewLAN(t)
			_ = lan
			dev := &closeCounter{}
			_, err := h.AddInterface(stack.InterfaceConfig{Name: name, Device: dev})
			require.ErrorIs(t, err, syscall.EINVAL, "name %q", name)
			require.Equal(t, 1, dev.closed, "the device is the host's to close")
		}
		dev := &closeCounter{}
		_, err := h.AddInterface(stack.InterfaceConfig{Name: "eth0", Device: dev})
		require.ErrorIs(t, err, syscall.EEXIST)
		require.Equal(t, 1, dev.closed)
	})
}

type closeCounter struct {
	link.Device
	closed int
}

func (c *closeCounter) Close() error { c.closed++; return nil }

func TestLinkDownForgetsNeighbours(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, _ := pair(t)
		eth0 := alice.Interface("eth0").Index()
		mac := link.Addr{2, 0, 0, 0, 0, 0x55}
		require.NoError(t, alice.Neighbours().Set(eth0, netip.MustParseAddr("10.0.0.50"), neighbour.Request{LLAddr: mac, HasLLAddr: true, State: neighbour.Permanent, Create: true}))
		require.NoError(t, alice.SetUp("eth0", false))
		require.Equal(t, "absent", state(alice, "10.0.0.50"), "NUD-53 permanent ones too")
		_, err := alice.Dial("udp", "10.0.0.2:1")
		require.ErrorIs(t, err, syscall.ENETUNREACH, "its routes are gone")
		require.NoError(t, alice.SetUp("eth0", true))
		c, err := alice.Dial("udp", "10.0.0.2:1")
		require.NoError(t, err, "and back")
		c.Close()
	})
}

func TestMalformedFramesAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := stacktest.NewLAN(t)
		alice := lan.Host(stacktest.HostConfig{Addr: "10.0.0.1/24"})
		s := lan.Station(link.Addr{2, 0, 0, 0, 0, 0xee})
		eth := func(dst link.Addr, typ link.EtherType, payload ...byte) []byte {
			b := make([]byte, link.EthernetHeaderLen, 60)
			link.Ethernet{Dst: dst, Src: link.Addr{2, 0, 0, 0, 0, 0xee}, Type: typ}.Put(b)
			return append(b, payload...)
		}
		us := alice.Interface("eth0").Addr()
		for _, c := range []struct {
			name  string
			frame []byte
			want  link.DropReason
		}{
			{"cut inside its Ethernet header", us[:], link.HdrTrunc},
			{"of a VLAN", eth(us, link.VLAN, 0, 7, 8, 0), link.UnhandledProto},
			{"IPv6", eth(us, link.IPv6, 0x60), link.UnhandledProto},
			{"ARP cut short", eth(us, link.ARP, 0, 1, 8, 0), link.ARPTooShort},
			{"IPv4 cut short", eth(us, link.IPv4, 0x45), link.IPInHdr},
		} {
			before := alice.Drops().Count(c.want)
			require.NoError(t, s.Send(c.frame))
			synctest.Wait()
			require.EqualValues(t, 1, alice.Drops().Count(c.want)-before, "%s: want %s, have %v", c.name, c.want, alice.Drops().Counts())
		}
	})
}

func TestSysctl(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := stacktest.NewLAN(t)
		h := lan.Host(stacktest.HostConfig{Addr: "10.0.0.1/24"})
		for _, c := range []struct{ name, value string }{
			{"net.ipv4.conf.eth0.arp_ignore", "2"},
			{"net.ipv4.conf.all.rp_filter", "1"},
			{"net/ipv4/conf/eth0/arp_announce", "1"},
			{"net.ipv4.neigh.eth0.retrans_time_ms", "700"},
			{"net.ipv4.neigh.default.gc_thresh3", "4096"},
			{"net.ipv4.ip_forward", "1"},
		} {
			require.NoError(t, h.SetSysctl(c.name, c.value), c.name)
			got, err := h.Sysctl(c.name)
			require.NoError(t, err, c.name)
			require.Equal(t, c.value, got, c.name)
		}
		got, err := h.Sysctl("net.ipv4.neigh.eth0.retrans_time")
		require.NoError(t, err)
		require.Equal(t, "70", got, "SYSCTL-20 the other spelling")
		got, err = h.Sysctl("net.ipv4.conf.eth0.forwarding")
		require.NoError(t, err)
		require.Equal(t, "1", got, "SYSCTL-43 ip_forward reaches every interface")
		for _, name := range []string{"net.ipv4.conf.eth9.arp_ignore", "net.ipv4.conf.eth0.nonsense", "net.ipv4.nonsense", "net.ipv6.conf.all.forwarding", "", "net.ipv4.neigh.all.locktime", "net.ipv4.neigh.eth0.gc_thresh1"} {
			_, err := h.Sysctl(name)
			require.ErrorIs(t, err, syscall.ENOENT, name)
			require.ErrorIs(t, h.SetSysctl(name, "1"), syscall.ENOENT, name)
		}
		require.ErrorIs(t, h.SetSysctl("net.ipv4.conf.eth0.arp_ignore", "x"), syscall.EINVAL)
		require.ErrorIs(t, h.SetSysctl("net.ipv4.neigh.eth0.ucast_solicit", "-1"), syscall.EINVAL)
		names := h.SysctlNames()
		require.Subset(t, names, []string{"net.ipv4.conf.lo.arp_filter", "net.ipv4.ip_forward"})
		require.Len(t, slices.Compact(slices.Clone(names)), len(names), "each once")
		for _, n := range names {
			v, err := h.Sysctl(n)
			require.NoError(t, err, n)
			if n != "net.ipv4.tcp_available_congestion_control" { // only to be read
				require.NoError(t, h.SetSysctl(n, v), "%s takes its own value %q", n, v)
			}
		}
	})
}

func TestDialErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, _ := pair(t)
		var dns *net.DNSError
		_, err := alice.Dial("tcp", "name.example:80")
		require.True(t, errors.As(err, &dns), "%v", err)
		for _, c := range []struct{ network, addr string }{{"tcp6", "10.0.0.2:80"}, {"ip", "10.0.0.2"}, {"tcp", "10.0.0.2"}, {"tcp", "[::1]:80"}, {"udp", "10.0.0.2:99999"}} {
			_, err := alice.Dial(c.network, c.addr)
			var op *net.OpError
			require.True(t, errors.As(err, &op), "%s %s: %v", c.network, c.addr, err)
		}
		_, err = alice.Dial("tcp", "10.0.0.2:81")
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		_, err = alice.Dial("tcp", "192.0.2.1:80")
		require.ErrorIs(t, err, syscall.ENETUNREACH)
		_, err = alice.Listen("udp", ":80")
		require.Error(t, err)
		_, err = alice.Listen("tcp", "10.0.0.77:80")
		require.ErrorIs(t, err, syscall.EADDRNOTAVAIL)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err = alice.DialContext(ctx, "tcp", "10.0.0.99:80")
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}

func TestCloseEndsEverything(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob := pair(t)
		l, err := bob.Listen("tcp", ":80")
		require.NoError(t, err)
		accepted := make(chan net.Conn, 1)
		go func() {
			c, err := l.Accept()
			require.NoError(t, err)
			accepted <- c
		}()
		c, err := alice.Dial("tcp", "10.0.0.2:80")
		require.NoError(t, err)
		server := <-accepted
		u, err := alice.ListenPacket("udp", ":9")
		require.NoError(t, err)
		blocked := make(chan error, 3)
		go func() { _, err := c.Read(make([]byte, 1)); blocked <- err }()
		go func() { _, _, err := u.ReadFrom(make([]byte, 1)); blocked <- err }()
		go func() { _, err := alice.Dial("tcp", "10.0.0.99:80"); blocked <- err }()
		synctest.Wait()
		require.NoError(t, alice.Close())
		for range 3 {
			require.ErrorIs(t, <-blocked, net.ErrClosed)
		}
		require.NoError(t, alice.Close(), "closing again is nothing")
		_, err = alice.Dial("tcp", "10.0.0.2:80")
		require.Error(t, err)
		_, err = server.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET, "the peer hears of it")
		server.Close()
	})
}
