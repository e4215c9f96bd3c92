package udp

import (
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	xipv4 "golang.org/x/net/ipv4"

	"github.com/tapstack/tapstack/link/linktest"
)

// What programs look for in a connection, quic-go among them.
var _ interface {
	ReadBatch(ms []xipv4.Message, flags int) (int, error)
	WriteBatch(ms []xipv4.Message, flags int) (int, error)
	ReadMsgUDP(b, oob []byte) (n, oobn, flags int, addr *net.UDPAddr, err error)
	WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error)
	ReadFromUDPAddrPort(b []byte) (int, netip.AddrPort, error)
	WriteToUDPAddrPort(b []byte, addr netip.AddrPort) (int, error)
	SetReadBuffer(bytes int) error
} = (*Conn)(nil)

func TestBatches(t *testing.T) {
	a, b := newTestPair(t)
	server, client := b.listen("0.0.0.0:53"), a.listen("0.0.0.0:0")
	to := &net.UDPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 53}
	out := []Message{
		{Buffers: [][]byte{[]byte("one"), []byte("two")}, Addr: to},
		{Buffers: [][]byte{nil}, Addr: to},
		{Buffers: [][]byte{[]byte("aabb")}, Addr: to, OOB: segmentOf(2)},
	}
	n, err := client.WriteBatch(out, 0)
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.Equal(t, []int{6, 0, 4, len(segmentOf(2))}, []int{out[0].N, out[1].N, out[2].N, out[2].NN})

	in := make([]Message, 8)
	for i := range in {
		in[i].Buffers = [][]byte{make([]byte, 2), make([]byte, 2)}
	}
	n, err = server.ReadBatch(in, MsgPeek)
	require.NoError(t, err)
	require.Equal(t, 8, n, "the first is still there")
	for _, m := range in {
		require.Equal(t, a.sent[0].h.Src.String(), m.Addr.(*net.UDPAddr).IP.String())
		require.EqualValues(t, client.LocalAddrPort().Port(), m.Addr.(*net.UDPAddr).Port)
	}
	n, err = server.ReadBatch(in, 0)
	require.NoError(t, err)
	require.Equal(t, 4, n, "what there is")
	require.Equal(t, "onet", string(in[0].Buffers[0])+string(in[0].Buffers[1]))
	require.Equal(t, []int{4, MsgTrunc}, []int{in[0].N, in[0].Flags})
	require.Equal(t, []int{0, 0, 2, 0}, []int{in[1].N, in[1].Flags, in[2].N, in[2].Flags})
	require.Equal(t, client.LocalAddrPort().Port(), in[0].Addr.(*net.UDPAddr).AddrPort().Port())
	require.EqualValues(t, 4, b.stats.InDatagrams.Load(), "looking is not reading")

	_, err = server.ReadBatch(in, MsgDontWait)
	wantErrno(t, syscall.EAGAIN, err)
	require.NoError(t, server.SetReadDeadline(time.Now().Add(-time.Second)))
	_, err = server.ReadBatch(in, 0)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	n, err = server.ReadBatch(nil, 0)
	require.NoError(t, err)
	require.Zero(t, n)
	require.NoError(t, server.SetReadDeadline(time.Time{}))

	send(t, client, "long one", "10.0.0.2:53")
	n, err = server.ReadBatch(in[:1], MsgTrunc)
	require.NoError(t, err)
	require.Equal(t, []int{1, 8, MsgTrunc}, []int{n, in[0].N, in[0].Flags}, "asked for, its whole length")
}

func TestBatchErrors(t *testing.T) {
	h := newTestHost(t, "2")
	client, peer := h.listen("0.0.0.0:0"), h.dial("10.0.0.1:9")
	good := Message{Buffers: [][]byte{[]byte("x")}, Addr: &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 9}}
	bad := Message{Buffers: [][]byte{[]byte("x")}}
	n, err := client.WriteBatch([]Message{good, bad, good}, 0)
	require.NoError(t, err)
	require.Equal(t, 1, n, "up to the one that cannot be sent")
	_, err = client.WriteBatch([]Message{bad}, 0)
	wantErrno(t, syscall.EDESTADDRREQ, err)
	n, err = peer.WriteBatch([]Message{bad, good}, 0)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	_, err = peer.WriteBatch([]Message{{Addr: &net.TCPAddr{}}}, 0)
	wantErrno(t, syscall.EINVAL, err)
	_, err = peer.WriteBatch([]Message{bad}, MsgOOB)
	wantErrno(t, syscall.EOPNOTSUPP, err)
	_, _, err = peer.WriteMsgUDP([]byte("x"), nil, &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 9})
	require.ErrorIs(t, err, net.ErrWriteToConnected)
	_, _, err = client.WriteMsgUDP([]byte("x"), nil, nil)
	wantErrno(t, syscall.EDESTADDRREQ, err)

	h.sent = nil
	n, err = peer.WriteBatch([]Message{bad}, MsgProbe)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Empty(t, h.sent, "MSG_PROBE sends nothing")
	_, err = peer.WriteBatch([]Message{bad}, MsgConfirm)
	require.NoError(t, err)
	require.True(t, h.sent[0].confirm)

	require.NoError(t, client.Close())
	for name, err := range map[string]error{
		"ReadBatch":  second(client.ReadBatch([]Message{good}, 0)),
		"WriteBatch": second(client.WriteBatch([]Message{good}, 0)),
		"errqueue":   second(client.ReadBatch([]Message{good}, MsgErrQueue)),
	} {
		require.ErrorIs(t, err, net.ErrClosed, name)
	}
}

func second(_ int, err error) error { return err }

func TestMessagesInOlderTypes(t *testing.T) {
	h := newTestHost(t, "2")
	server, client := h.listen("127.0.0.1:9"), h.dial("127.0.0.1:9")
	n, oobn, err := client.WriteMsgUDP([]byte("hello"), control(solIP, ipTTL, int32Bytes(9)), nil)
	require.NoError(t, err)
	require.Equal(t, []int{5, len(control(solIP, ipTTL, int32Bytes(9)))}, []int{n, oobn})
	require.NoError(t, server.SetReceiveTTL(true))
	buf, oob := make([]byte, 10), make([]byte, 100)
	n, oobn, flags, from, err := server.ReadMsgUDP(buf, oob)
	require.NoError(t, err)
	require.Equal(t, "hello", string(buf[:n]))
	require.Zero(t, flags)
	require.Equal(t, client.LocalAddr(), from)
	require.Equal(t, control(solIP, ipTTL, int32Bytes(9)), oob[:oobn])
	require.NoError(t, server.Close())
	_, _, _, from, err = server.ReadMsgUDP(buf, oob)
	require.ErrorIs(t, err, net.ErrClosed)
	require.Nil(t, from)
}

func TestMessagesDoNotAllocate(t *testing.T) {
	h := newTestHost(t, "2")
	server, client := h.listen("127.0.0.1:9"), h.dial("127.0.0.1:9")
	for _, set := range []func(bool) error{server.SetPacketInfo, server.SetReceiveTTL, server.SetReceiveTOS, server.SetReceiveOrigDst} {
		require.NoError(t, set(true))
	}
	data, buf, oob := make([]byte, 100), make([]byte, 100), make([]byte, 200)
	out := []Message{{Buffers: [][]byte{data}}, {Buffers: [][]byte{data}}}
	linktest.WantNoAllocs(t, func() {
		if n, err := client.WriteBatch(out, 0); n != len(out) || err != nil {
			t.Error(n, err)
		}
		for range out {
			if _, _, _, _, err := server.ReadMsgUDPAddrPort(buf, oob); err != nil {
				t.Error(err)
			}
		}
	})
}
