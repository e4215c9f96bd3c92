package udp

import (
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
)

func TestMemory(t *testing.T) {
	a, b := newTestPair(t)
	b.memory.limit = 64 << 10
	var servers []*Conn
	for port := range 40 {
		s := b.listen("0.0.0.0:0")
		c := a.dial("10.0.0.2:" + s.LocalAddr().String()[len("0.0.0.0:"):])
		for range 10 {
			_, err := c.Write(make([]byte, 1000))
			require.NoError(t, err)
		}
		servers = append(servers, s)
		require.LessOrEqual(t, b.memory.used.Load(), int64(128<<10), "twice the limit is the end, socket %d", port)
	}
	lost := b.drops.Count(link.ProtoMem)
	require.Equal(t, lost, b.stats.MemErrors.Load())
	require.Equal(t, lost, b.stats.InErrors.Load())
	require.NotZero(t, lost)
	got := uint64(0)
	full := 0
	for i, s := range servers {
		n := len(unread(t, s))
		got += uint64(n)
		if n == 10 {
			full++
		}
		if i < 2+1+8 { // two take what they like, one the rest, eight 8 KiB each
			require.NotZero(t, n, "a little for everybody, socket %d", i)
		}
		require.EqualValues(t, 10-n, s.Dropped())
	}
	require.EqualValues(t, 400, got+lost)
	require.InDelta(t, 2, full, 1, "as much as it likes, before the limit")
	require.LessOrEqual(t, b.memory.used.Load(), int64(40*idlePages*memoryPage), "what was read costs nothing")
	for _, s := range servers {
		require.NoError(t, s.Close())
	}
	require.Zero(t, b.memory.used.Load())
}

func TestErrorsCostMemory(t *testing.T) {
	h := newTestHost(t, "2")
	c := h.dial("10.0.0.1:9", SocketConfig{ReceiveErrors: true, PathMTU: Do})
	for range 100 {
		_, err := c.Write(make([]byte, 2000))
		wantErrno(t, syscall.EMSGSIZE, err)
	}
	require.NotZero(t, h.memory.used.Load())
	require.NoError(t, c.SetReceiveErrors(false))
	require.LessOrEqual(t, h.memory.used.Load(), int64(idlePages*memoryPage))
	require.NoError(t, c.Close())
	c.queueErrorLocked(QueuedError{})
	require.Zero(t, h.memory.used.Load(), "a closed socket holds nothing")
}

// Every reason for which a datagram that reached UDP is dropped, and what else
// counts it.
func TestDropReasons(t *testing.T) {
	datagram := func(change func(b []byte)) *link.Packet {
		p := link.NewPacket(HeaderLen + 4)
		b := p.Bytes()
		copy(b[HeaderLen:], "data")
		Header{SrcPort: 1000, DstPort: 9, Length: len(b)}.Put(b)
		if change != nil {
			change(b)
		}
		ipv4.Header{TotalLen: ipv4.HeaderLen + len(b), TTL: 64, Protocol: ipv4.ProtocolUDP,
			Src: ap("10.0.0.1:0").Addr(), Dst: ap("10.0.0.2:0").Addr()}.Put(p.Push(ipv4.HeaderLen))
		return p
	}
	for _, c := range []struct {
		reason link.DropReason
		packet func(h *testHost) *link.Packet
		counts map[string]uint64
		errors int32
	}{
		{link.UDPInHdr, func(*testHost) *link.Packet { return datagram(func(b []byte) { b[5] = 7 }) }, map[string]uint64{"UdpInErrors": 1}, 0},
		{link.UDPCsum, func(*testHost) *link.Packet { return datagram(func(b []byte) { b[7] = 1 }) },
			map[string]uint64{"UdpInErrors": 1, "UdpInCsumErrors": 1}, 0},
		{link.NoSocket, func(*testHost) *link.Packet { return datagram(nil) }, map[string]uint64{"UdpNoPorts": 1}, 1},
		{link.NoSocket, func(*testHost) *link.Packet {
			p := datagram(nil)
			ipv4.Header{TotalLen: p.Len(), TTL: 64, Protocol: ipv4.ProtocolUDP, Src: ap("10.0.0.1:0").Addr(), Dst: ap("10.0.0.255:0").Addr()}.Put(p.Bytes())
			return p
		}, map[string]uint64{"UdpIgnoredMulti": 1}, 0},
		{link.SocketRcvBuff, func(h *testHost) *link.Packet {
			c := h.listen("0.0.0.0:9", SocketConfig{ReadBuffer: 1})
			for range 2 {
				h.ip.Input(h.t0, datagram(nil))
			}
			c.limit = 1
			return datagram(nil)
		}, map[string]uint64{"UdpInErrors": 1, "UdpRcvbufErrors": 1}, 0},
		{link.ProtoMem, func(h *testHost) *link.Packet {
			h.listen("0.0.0.0:9")
			h.memory.limit = 0
			return datagram(nil)
		}, map[string]uint64{"UdpInErrors": 1, "UdpMemErrors": 1}, 0},
		{link.SocketClosed, func(h *testHost) *link.Packet {
			// Closed between lookup and delivery.
			h.listen("0.0.0.0:9").closed = true
			return datagram(nil)
		}, map[string]uint64{}, 0},
	} {
		t.Run(c.reason.String(), func(t *testing.T) {
			h := newTestHost(t, "2")
			h.peer = newTestPeer(t)
			p := c.packet(h)
			h.ip.Input(h.t0, p)
			require.Equal(t, map[string]uint64{c.reason.String(): 1}, h.drops.Counts(), "once, and for nothing else")
			got := map[string]uint64{}
			for name, n := range h.stats.All() {
				if n != 0 {
					got[name] = n
				}
			}
			require.Equal(t, c.counts, got)
			require.Equal(t, c.errors, h.errors.Load())
		})
	}
}
