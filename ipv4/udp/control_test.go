package udp

import (
	"encoding/binary"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	xipv4 "golang.org/x/net/ipv4"

	"github.com/tapstack/tapstack/ipv4"
)

func int32Bytes(v int32) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(v)) }

func pktInfo(index int32, own, dst string) []byte {
	b := int32Bytes(index)
	for _, a := range []string{own, dst} {
		b = append(b, netip.MustParseAddr(a).AsSlice()...)
	}
	return b
}

func sockaddr(a string) []byte {
	var b [sockaddrLen]byte
	putSockaddr(b[:], ap(a))
	return b[:]
}

// The bytes that Linux 6.18 gave a socket with all of these options.
func TestControlMessagesAreLinuxs(t *testing.T) {
	if wordLen != 8 || binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the bytes are those of amd64")
	}
	h := newTestHost(t, "2")
	server, client := h.listen("127.0.0.1:47838"), h.dial("127.0.0.1:47838")
	for _, set := range []func(bool) error{
		server.SetCoalescing, server.SetPacketInfo, server.SetReceiveTTL, server.SetReceiveTOS, server.SetReceiveOrigDst, server.SetReceiveOverflow,
	} {
		require.NoError(t, set(true))
	}
	_, _, err := client.WriteMsgUDPAddrPort(make([]byte, 3000), segmentOf(1000), netip.AddrPort{})
	require.NoError(t, err)
	buf, oob := make([]byte, 65536), make([]byte, 1000)
	n, oobn, _, _, err := server.ReadMsgUDPAddrPort(buf, oob)
	require.NoError(t, err)
	require.Equal(t, 3000, n)
	require.Equal(t, []byte{
		20, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 0, 104, 0, 0, 0, 0xe8, 3, 0, 0, 0, 0, 0, 0,
		28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1, 0, 0, 0, 0,
		20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 64, 0, 0, 0, 0, 0, 0, 0,
		17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 2, 0, 0xba, 0xde, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0,
	}, oob[:oobn])

	// What is left of it where there is no room.
	for _, c := range []struct{ room, oobn, flags int }{
		{8, 0, MsgTrunc | MsgCTrunc}, {16, 16, MsgTrunc | MsgCTrunc}, {17, 17, MsgTrunc | MsgCTrunc}, {40, 40, MsgTrunc | MsgCTrunc}, {136, 136, MsgTrunc},
	} {
		_, _, err := client.WriteMsgUDPAddrPort(make([]byte, 3000), segmentOf(1000), netip.AddrPort{})
		require.NoError(t, err)
		_, oobn, flags, _, err := server.ReadMsgUDPAddrPort(buf[:100], make([]byte, c.room))
		require.NoError(t, err)
		require.Equal(t, []int{c.oobn, c.flags}, []int{oobn, flags}, "room for %d", c.room)
	}
}

// golang.org/x/net/ipv4 reads what we write, and we read what it writes.
func TestControlMessagesOfXNet(t *testing.T) {
	a, b := newTestPair(t)
	server, client := b.listen("0.0.0.0:53"), a.listen("0.0.0.0:0", SocketConfig{Broadcast: true, TOS: 0x12})
	require.NoError(t, server.SetPacketInfo(true))
	require.NoError(t, server.SetReceiveTTL(true))
	buf := make([]byte, 100)
	oob := make([]byte, len(xipv4.NewControlMessage(xipv4.FlagTTL|xipv4.FlagDst|xipv4.FlagInterface)))
	for _, c := range []struct {
		to, dst string
		cm      xipv4.ControlMessage
		from    string
	}{
		{"10.0.0.2:53", "10.0.0.2", xipv4.ControlMessage{}, "10.0.0.1"},
		{"10.0.0.2:53", "10.0.0.2", xipv4.ControlMessage{Src: net.IPv4(10, 0, 1, 1)}, "10.0.1.1"},
		{"10.0.0.255:53", "10.0.0.255", xipv4.ControlMessage{}, "10.0.0.1"},
		{"255.255.255.255:53", "255.255.255.255", xipv4.ControlMessage{IfIndex: 2}, "10.0.0.1"},
	} {
		_, _, err := client.WriteMsgUDPAddrPort([]byte("x"), c.cm.Marshal(), ap(c.to))
		require.NoError(t, err)
		_, oobn, flags, from, err := server.ReadMsgUDPAddrPort(buf, oob)
		require.NoError(t, err)
		require.Zero(t, flags)
		require.Equal(t, c.from, from.Addr().String())
		var cm xipv4.ControlMessage
		require.NoError(t, cm.Parse(oob[:oobn]))
		require.Equal(t, xipv4.ControlMessage{TTL: 64, Dst: net.ParseIP(c.dst).To4(), IfIndex: 2}, cm)
		if oob[0] == byte(controlLen+pktInfoLen) {
			require.Equal(t, pktInfo(2, "10.0.0.2", c.dst), oob[controlLen:controlLen+pktInfoLen], "spec_dst is ours")
		}
	}
}

// What Linux 6.18 answers to control messages.
func TestParseControl(t *testing.T) {
	u16 := binary.NativeEndian.AppendUint16(nil, 100)
	for _, c := range []struct {
		name string
		b    []byte
		want SendOptions
		ok   bool
	}{
		{"none", nil, SendOptions{}, true},
		{"too short for one", make([]byte, controlLen-1), SendOptions{}, true},
		{"a length of 0", make([]byte, controlLen), SendOptions{}, false},
		{"longer than there is", control(solIP, ipTTL, int32Bytes(9))[:controlLen+3], SendOptions{}, false},
		{"segment", control(solUDP, udpSegment, u16), SendOptions{SegmentSize: 100, segmentGiven: true}, true},
		{"segment as an int", control(solUDP, udpSegment, int32Bytes(100)), SendOptions{}, false},
		{"another type of UDP", control(solUDP, 99, u16), SendOptions{}, false},
		{"another type of IP", control(solIP, 99, int32Bytes(1)), SendOptions{}, false},
		{"another level", control(77, 99, int32Bytes(1)), SendOptions{}, true},
		{"SOL_SOCKET", control(solSocket, 99, int32Bytes(1)), SendOptions{}, false},
		{"TTL 0", control(solIP, ipTTL, int32Bytes(0)), SendOptions{}, false},
		{"TTL 1", control(solIP, ipTTL, int32Bytes(1)), SendOptions{TTL: 1}, true},
		{"TTL 255", control(solIP, ipTTL, int32Bytes(255)), SendOptions{TTL: 255}, true},
		{"TTL 256", control(solIP, ipTTL, int32Bytes(256)), SendOptions{}, false},
		{"TTL of one byte", control(solIP, ipTTL, []byte{1}), SendOptions{}, false},
		{"TOS 0", control(solIP, ipTOS, int32Bytes(0)), SendOptions{tosGiven: true}, true},
		{"TOS of one byte", control(solIP, ipTOS, []byte{16}), SendOptions{tos: 16, tosGiven: true}, true},
		{"TOS of two bytes", control(solIP, ipTOS, []byte{16, 0}), SendOptions{}, false},
		{"TOS 256", control(solIP, ipTOS, int32Bytes(256)), SendOptions{}, false},
		{"packet info", control(solIP, ipPktInfo, pktInfo(3, "10.0.0.2", "0.0.0.0")), SendOptions{Interface: 3, Source: netip.MustParseAddr("10.0.0.2")}, true},
		{"short packet info", control(solIP, ipPktInfo, int32Bytes(3)), SendOptions{}, false},
		{"two", append(control(solIP, ipTTL, int32Bytes(9)), control(solIP, ipTOS, []byte{16})...), SendOptions{TTL: 9, tos: 16, tosGiven: true}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var o SendOptions
			err := o.parseControl(c.b)
			if !c.ok {
				require.Equal(t, syscall.EINVAL, err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, o)
		})
	}
}

func TestControlOfWhatIsSent(t *testing.T) {
	h := newTestHost(t, "2")
	c := h.listen("0.0.0.0:9", SocketConfig{TTL: 5, TOS: 0x40})
	try := func(to string, oob []byte) (sentPacket, error) {
		h.sent = nil
		_, _, err := c.WriteMsgUDPAddrPort([]byte("x"), oob, ap(to))
		if err != nil {
			return sentPacket{}, err
		}
		return h.sent[0], nil
	}
	p, err := try("10.0.0.1:9", append(control(solIP, ipTTL, int32Bytes(9)), control(solIP, ipTOS, []byte{0})...))
	require.NoError(t, err)
	require.Equal(t, []uint8{9, 0}, []uint8{p.h.TTL, p.h.TOS})
	p, err = try("224.1.2.3:9", control(solIP, ipTTL, int32Bytes(9)))
	require.NoError(t, err)
	require.EqualValues(t, 9, p.h.TTL, "the message's own TTL is for groups too")
	p, err = try("10.0.0.1:9", control(solIP, ipPktInfo, pktInfo(3, "0.0.0.0", "0.0.0.0")))
	require.NoError(t, err)
	require.Equal(t, 3, p.iface)
	_, err = try("10.0.0.1:9", control(solIP, ipPktInfo, pktInfo(99, "0.0.0.0", "0.0.0.0")))
	wantErrno(t, syscall.ENODEV, err)
	_, err = try("10.0.0.1:9", control(solIP, ipPktInfo, pktInfo(0, "1.2.3.4", "0.0.0.0")))
	require.Error(t, err, "not our address")
	_, err = try("10.0.0.1:9", control(solIP, 99, nil))
	wantErrno(t, syscall.EINVAL, err)
}

func TestReceiveErrorAsMessage(t *testing.T) {
	a, _ := newTestPair(t)
	c := a.dial("10.0.0.2:53", SocketConfig{ReceiveErrors: true})
	ms := []Message{{Buffers: [][]byte{make([]byte, 3), make([]byte, 100)}, OOB: make([]byte, 200)}}
	_, err := c.ReadBatch(ms, MsgErrQueue)
	wantErrno(t, syscall.EAGAIN, err)
	_, err = c.Write([]byte("hello"))
	require.NoError(t, err)
	n, err := c.ReadBatch(ms, MsgErrQueue)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	m := ms[0]
	require.Equal(t, []any{5, MsgErrQueue, "hel", "lo", "10.0.0.2:53"},
		[]any{m.N, m.Flags, string(m.Buffers[0]), string(m.Buffers[1][:2]), m.Addr.String()})
	var e [extendedErrLen]byte
	binary.NativeEndian.PutUint32(e[:], uint32(syscall.ECONNREFUSED))
	e[4], e[5], e[6] = 2, ipv4.TypeUnreachable, ipv4.CodePortUnreachable
	require.Equal(t, control(solIP, ipRecvErr, append(e[:], sockaddr("10.0.0.2:0")...)), m.OOB[:m.NN])

	require.NoError(t, c.SetPathMTU(Do))
	_, err = c.Write(make([]byte, 1473))
	wantErrno(t, syscall.EMSGSIZE, err)
	_, err = c.ReadBatch(ms, MsgErrQueue)
	require.NoError(t, err)
	clear(e[:])
	binary.NativeEndian.PutUint32(e[:], uint32(syscall.EMSGSIZE))
	binary.NativeEndian.PutUint32(e[8:], 1500)
	e[4] = 1
	require.Equal(t, control(solIP, ipRecvErr, append(e[:], make([]byte, sockaddrLen)...)), ms[0].OOB[:ms[0].NN])
}

func FuzzParseControl(f *testing.F) {
	f.Add(segmentOf(100))
	f.Add(append(control(solIP, ipTTL, int32Bytes(9)), control(solIP, ipPktInfo, pktInfo(1, "10.0.0.1", "0.0.0.0"))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		var o SendOptions
		if o.parseControl(b) != nil {
			return
		}
		if o.SegmentSize < 0 || o.SegmentSize > 65535 {
			t.Error(o.SegmentSize)
		}
		var cm xipv4.ControlMessage
		_ = cm.Parse(b)
	})
}
