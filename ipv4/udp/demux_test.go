package udp

import (
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBestMatch(t *testing.T) {
	a, b := newTestPair(t)
	const any, one = "0.0.0.0:53", "10.0.0.2:53"
	for _, c := range []struct {
		name    string
		sockets func() []*Conn // the last gets it; nil nobody
	}{
		{"wildcard", func() []*Conn { return []*Conn{b.listen(any)} }},
		{"bound to the address before wildcard", func() []*Conn {
			r := SocketConfig{ReuseAddr: true}
			one := b.listen(one, r)
			return []*Conn{b.listen(any, r), one}
		}},
		{"connected before bound", func() []*Conn {
			r := SocketConfig{ReuseAddr: true}
			peer, err := b.Dial(ap(one), ap("10.0.0.1:1000"), r)
			require.NoError(t, err)
			return []*Conn{b.listen(one, r), b.listen(any, r), peer}
		}},
		{"bound to the device before not", func() []*Conn {
			r := SocketConfig{ReuseAddr: true}
			dev := b.listen(any, SocketConfig{ReuseAddr: true, Interface: 2})
			return []*Conn{b.listen(any, r), dev}
		}},
		{"the address counts more than the device", func() []*Conn {
			r := SocketConfig{ReuseAddr: true}
			addr := b.listen(one, r)
			return []*Conn{b.listen(any, SocketConfig{ReuseAddr: true, Interface: 2}), addr}
		}},
		{"of equals the newest", func() []*Conn {
			r := SocketConfig{ReuseAddr: true}
			return []*Conn{b.listen(any, r), b.listen(any, r), b.listen(any, r)}
		}},
		{"another device does not match", func() []*Conn {
			return []*Conn{b.listen(any, SocketConfig{Interface: 3}), nil}
		}},
		{"another peer does not match", func() []*Conn {
			peer, err := b.Dial(ap(one), ap("10.0.0.1:1001"), SocketConfig{})
			require.NoError(t, err)
			return []*Conn{peer, nil}
		}},
		{"another address does not match", func() []*Conn {
			return []*Conn{b.listen("10.0.1.2:53"), b.listen("127.0.0.1:53"), nil}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			sockets := c.sockets()
			from := a.listen("0.0.0.0:1000")
			defer from.Close()
			send(t, from, "x", "10.0.0.2:53")
			for i, s := range sockets {
				if s == nil {
					continue
				}
				var want []string
				if i == len(sockets)-1 {
					want = []string{"x"}
				}
				require.Equal(t, want, unread(t, s), "socket %d", i)
				require.NoError(t, s.Close())
			}
			require.Empty(t, b.demux.port(53), "nothing stays behind")
		})
	}
}

func TestConflicts(t *testing.T) {
	h := newTestHost(t, "2")
	reuse, share := SocketConfig{ReuseAddr: true}, SocketConfig{ReusePort: true}
	for _, c := range []struct {
		name  string
		laddr [2]string
		sc    [2]SocketConfig
		inUse bool
	}{
		{"same address", [2]string{"10.0.0.2:7", "10.0.0.2:7"}, [2]SocketConfig{}, true},
		{"two addresses", [2]string{"10.0.0.2:7", "10.0.1.2:7"}, [2]SocketConfig{}, false},
		{"two ports", [2]string{"10.0.0.2:7", "10.0.0.2:8"}, [2]SocketConfig{}, false},
		{"all and one", [2]string{"0.0.0.0:7", "10.0.0.2:7"}, [2]SocketConfig{}, true},
		{"one and all", [2]string{"10.0.0.2:7", "0.0.0.0:7"}, [2]SocketConfig{}, true},
		{"both reuse", [2]string{"0.0.0.0:7", "10.0.0.2:7"}, [2]SocketConfig{reuse, reuse}, false},
		{"only the first reuses", [2]string{"0.0.0.0:7", "0.0.0.0:7"}, [2]SocketConfig{reuse, {}}, true},
		{"only the second reuses", [2]string{"0.0.0.0:7", "0.0.0.0:7"}, [2]SocketConfig{{}, reuse}, true},
		{"both share", [2]string{"0.0.0.0:7", "10.0.0.2:7"}, [2]SocketConfig{share, share}, false},
		{"one shares, one reuses", [2]string{"0.0.0.0:7", "0.0.0.0:7"}, [2]SocketConfig{share, reuse}, true},
		{"only the second shares", [2]string{"0.0.0.0:7", "0.0.0.0:7"}, [2]SocketConfig{{}, share}, true},
		{"two devices", [2]string{"0.0.0.0:7", "0.0.0.0:7"}, [2]SocketConfig{{Interface: 2}, {Interface: 3}}, false},
		{"one device", [2]string{"0.0.0.0:7", "0.0.0.0:7"}, [2]SocketConfig{{Interface: 2}, {Interface: 2}}, true},
		{"a device and all", [2]string{"0.0.0.0:7", "0.0.0.0:7"}, [2]SocketConfig{{Interface: 2}, {}}, true},
		{"a broadcast address and all", [2]string{"10.0.0.255:7", "0.0.0.0:7"}, [2]SocketConfig{}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			first, err := h.Listen(ap(c.laddr[0]), c.sc[0])
			require.NoError(t, err)
			defer first.Close()
			second, err := h.Listen(ap(c.laddr[1]), c.sc[1])
			if c.inUse {
				wantErrno(t, syscall.EADDRINUSE, err)
				require.Equal(t, "listen udp "+c.laddr[1]+": bind: address already in use", err.Error())
				return
			}
			require.NoError(t, err)
			second.Close()
		})
	}
}

func TestBindErrors(t *testing.T) {
	h := newTestHost(t, "2")
	for _, c := range []struct {
		name  string
		laddr string
		sc    SocketConfig
		errno syscall.Errno
	}{
		{"not ours", "10.0.0.9:7", SocketConfig{}, syscall.EADDRNOTAVAIL},
		{"IPv6", "[fd00::1]:7", SocketConfig{}, syscall.EAFNOSUPPORT},
		{"no such device", "0.0.0.0:7", SocketConfig{Interface: 99}, syscall.ENODEV},
	} {
		_, err := h.Listen(ap(c.laddr), c.sc)
		wantErrno(t, c.errno, err)
		_, err = h.Dial(ap(c.laddr), ap("10.0.0.1:9"), c.sc)
		wantErrno(t, c.errno, err)
	}
	for _, laddr := range []string{"10.0.0.2:7", "127.0.0.1:7", "127.1.2.3:7", "10.0.0.255:7", "255.255.255.255:7", "224.0.0.1:7", "[::ffff:10.0.1.2]:7"} {
		c, err := h.Listen(ap(laddr), SocketConfig{})
		require.NoError(t, err, laddr)
		c.Close()
	}
	for _, laddr := range []netip.AddrPort{{}, ap("[::]:7"), netip.AddrPortFrom(netip.Addr{}, 7)} {
		c, err := h.Listen(laddr, SocketConfig{})
		require.NoError(t, err, laddr)
		require.Equal(t, netip.IPv4Unspecified(), c.LocalAddrPort().Addr())
		c.Close()
	}
}

func TestPortRange(t *testing.T) {
	h := newTestHost(t, "2")
	h.SetPortRange(2000, 2003)
	first, last := h.PortRange()
	require.Equal(t, []uint16{2000, 2003}, []uint16{first, last})
	seen := map[uint16]bool{}
	for range 4 {
		c, err := h.Listen(ap("0.0.0.0:0"), SocketConfig{})
		require.NoError(t, err)
		seen[c.LocalAddrPort().Port()] = true
	}
	require.Equal(t, map[uint16]bool{2000: true, 2001: true, 2002: true, 2003: true}, seen)
	_, err := h.Listen(ap("0.0.0.0:0"), SocketConfig{})
	wantErrno(t, syscall.EADDRINUSE, err)
	h.Close()
}

func TestEphemeralPorts(t *testing.T) {
	h := newTestHost(t, "2")
	seen := map[uint16]bool{}
	for range ephemerals {
		c, err := h.Listen(ap("0.0.0.0:0"), SocketConfig{})
		if err != nil {
			t.Fatal(err)
		}
		port := c.LocalAddrPort().Port()
		if port < 32768 || port > 60999 || seen[port] {
			t.Fatalf("port %d, seen before: %v", port, seen[port])
		}
		seen[port] = true
	}
	_, err := h.Listen(ap("0.0.0.0:0"), SocketConfig{ReuseAddr: true})
	wantErrno(t, syscall.EADDRINUSE, err)
	_, err = h.Dial(netip.AddrPort{}, ap("10.0.0.1:9"), SocketConfig{})
	wantErrno(t, syscall.EADDRINUSE, err)
}

func TestProtocolClose(t *testing.T) {
	h := newTestHost(t, "2")
	one, two := h.listen("0.0.0.0:7"), h.dial("10.0.0.1:9")
	h.Protocol.Close()
	for _, c := range []*Conn{one, two} {
		_, err := c.Read(nil)
		require.ErrorIs(t, err, net.ErrClosed)
	}
	_, err := h.Listen(ap("0.0.0.0:8"), SocketConfig{})
	require.ErrorIs(t, err, net.ErrClosed)
	require.Empty(t, h.demux.port(7))
}

func BenchmarkLookup(b *testing.B) {
	h := newTestHost(b, "2")
	h.listen("0.0.0.0:53")
	f := flow{ap("10.0.0.2:53"), ap("10.0.0.1:1000"), 2}
	b.ReportAllocs()
	for b.Loop() {
		if h.demux.lookup(f, h.hash) == nil {
			b.Fatal("not found")
		}
	}
}
