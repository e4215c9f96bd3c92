package udp

import (
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
)

// fragNeeded tells h that its last datagram to a peer was too long for a router.
func fragNeeded(h *testHost, mtu uint32) {
	s := h.sent[len(h.sent)-1]
	b := make([]byte, HeaderLen)
	s.udp.Put(b)
	h.ip.DeliverError(ipv4.TransportError{
		Type: ipv4.TypeUnreachable, Code: ipv4.CodeFragNeeded, Info: mtu, From: netip.MustParseAddr("10.0.0.254"),
		Inner: s.h, Payload: b, Errno: syscall.EMSGSIZE,
	})
}

func TestPathMTU(t *testing.T) {
	// What becomes of datagrams once a router has said that 1400 bytes are the
	// most: one that fits, one for the interface, one that is too long for it.
	type outcome struct {
		df, mf bool
		errno  syscall.Errno
	}
	whole, df, cut, no := outcome{}, outcome{df: true}, outcome{mf: true}, outcome{errno: syscall.EMSGSIZE}
	for _, c := range []struct {
		name   string
		mode   PathMTU
		mtu    int // learned
		errno  syscall.Errno
		expect [3]outcome
	}{
		{"want", Want, 1400, syscall.EMSGSIZE, [3]outcome{df, cut, cut}},
		{"do", Do, 1400, syscall.EMSGSIZE, [3]outcome{df, no, no}},
		{"dont", Dont, 1400, 0, [3]outcome{whole, cut, cut}},
		{"probe", Probe, 1400, syscall.EMSGSIZE, [3]outcome{df, df, no}},
		{"interface", InterfaceMTU, 1500, syscall.EMSGSIZE, [3]outcome{whole, whole, no}},
		{"omit", Omit, 1500, syscall.EMSGSIZE, [3]outcome{whole, whole, cut}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newTestHost(t, "2")
			conn := h.dial("10.0.0.1:9", SocketConfig{PathMTU: c.mode})
			mtu, err := conn.MTU()
			require.NoError(t, err)
			require.Equal(t, 1500, mtu)
			_, err = conn.Write(make([]byte, 1472))
			require.NoError(t, err)
			fragNeeded(h, 1400)
			require.Equal(t, c.errno, conn.SocketError())
			require.Zero(t, conn.SocketError(), "told once")
			mtu, err = conn.MTU()
			require.NoError(t, err)
			require.Equal(t, c.mtu, mtu)
			for i, n := range []int{1372, 1472, 1473} {
				h.sent = nil
				_, err := conn.Write(make([]byte, n))
				if c.expect[i].errno != 0 {
					wantErrno(t, c.expect[i].errno, err)
					require.Empty(t, h.sent)
					continue
				}
				require.NoError(t, err)
				require.Equal(t, c.expect[i], outcome{df: h.sent[0].h.DF, mf: h.sent[0].h.MF}, "%d bytes", n)
			}
			require.Empty(t, h.drops.Counts(), "refused before there was a packet")
		})
	}
	t.Run("an error about nothing of ours", func(t *testing.T) {
		h := newTestHost(t, "2")
		conn := h.dial("10.0.0.1:9")
		_, err := conn.Write([]byte("x"))
		require.NoError(t, err)
		h.sent[0].udp.SrcPort++
		fragNeeded(h, 1400)
		mtu, err := conn.MTU()
		require.NoError(t, err)
		require.Equal(t, 1500, mtu, "RFC 5927 7: only about ports in use")
	})
	t.Run("no peer", func(t *testing.T) {
		_, err := newTestHost(t, "2").listen("0.0.0.0:0").MTU()
		wantErrno(t, syscall.ENOTCONN, err)
	})
}

func TestProbe(t *testing.T) {
	h := newTestHost(t, "2")
	type confirmed struct {
		iface   int
		nextHop netip.Addr
	}
	var told []confirmed
	h.config.Confirm = func(i int, a netip.Addr) { told = append(told, confirmed{i, a}) }
	c := h.listen("0.0.0.0:0")
	for _, o := range []struct {
		o    SendOptions
		to   string
		want []confirmed
		sent int
	}{
		{SendOptions{Probe: true}, "10.0.0.1:9", nil, 0},
		{SendOptions{Probe: true, Confirm: true}, "10.0.0.1:9", []confirmed{{2, netip.MustParseAddr("10.0.0.1")}}, 0},
		{SendOptions{Probe: true, Confirm: true}, "8.8.8.8:9", []confirmed{{2, netip.MustParseAddr("10.0.0.254")}}, 0},
		{SendOptions{Confirm: true}, "10.0.0.1:9", nil, 1},
	} {
		told, h.sent = nil, nil
		n, err := c.Send(nil, ap(o.to), o.o)
		require.NoError(t, err)
		require.Zero(t, n)
		require.Equal(t, o.want, told)
		require.Len(t, h.sent, o.sent, "a datagram without data is one")
	}
	_, err := c.Send(nil, ap("10.0.0.255:9"), SendOptions{Probe: true})
	wantErrno(t, syscall.EACCES, err)
}
