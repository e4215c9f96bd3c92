package ipv4

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
)

func TestForward(t *testing.T) {
	h := newTestHost(t)
	h.forward()
	p := h.datagram("10.0.0.9", "10.0.1.50", func(ih *Header) { ih.TOS, ih.DF = 0xb8, true })
	p.Confirm = true
	h.Input(h.t0, p)
	require.Len(t, h.sent, 1)
	s := h.sent[0]
	require.Equal(t, 3, s.iface)
	require.Equal(t, addr("10.0.1.50"), s.nextHop)
	require.EqualValues(t, 63, s.h.TTL)
	require.Equal(t, addr("10.0.0.9"), s.h.Src)
	require.EqualValues(t, 0xb8, s.h.TOS)
	require.EqualValues(t, 7, s.h.ID)
	require.True(t, s.h.DF)
	require.Empty(t, h.errors)
	require.EqualValues(t, 1, h.stats.ForwDatagrams.Load())

	h.clear()
	h.route(Route{Gateway: addr("10.0.1.1")})
	h.Input(h.t0, h.datagram("10.0.0.9", "240.0.0.1", func(ih *Header) { ih.TTL = 2 }))
	require.Equal(t, addr("10.0.1.1"), h.sent[0].nextHop, "class E is ordinary")
	require.EqualValues(t, 1, h.sent[0].h.TTL)
}

func TestForwardFragments(t *testing.T) {
	h := newTestHost(t)
	h.forward()
	require.NoError(t, h.SetMTU(3, 1000))
	data := make([]byte, 1208)
	for n := range data {
		data[n] = byte(n)
	}
	h.Input(h.t0, packetOf("10.0.0.9", "10.0.1.50", data))
	require.Len(t, h.sent, 2)
	require.Equal(t, []int{0, 976}, []int{h.sent[0].h.FragmentOffset, h.sent[1].h.FragmentOffset})
	require.Equal(t, []bool{true, false}, []bool{h.sent[0].h.MF, h.sent[1].h.MF})
	require.Equal(t, data, append(h.sent[0].data, h.sent[1].data...))
	require.EqualValues(t, 63, h.sent[1].h.TTL)
	require.EqualValues(t, 7, h.sent[1].h.ID)

	// A fragment is cut up without losing its place.
	h.clear()
	h.Input(h.t0, packetOf("10.0.0.9", "10.0.1.50", data, func(ih *Header) { ih.FragmentOffset, ih.MF = 4000, true }))
	require.Equal(t, []int{4000, 4976}, []int{h.sent[0].h.FragmentOffset, h.sent[1].h.FragmentOffset})
	require.Equal(t, []bool{true, true}, []bool{h.sent[0].h.MF, h.sent[1].h.MF})
}

func TestForwardRedirects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHost(t)
		h.forward()
		h.route(Route{Dst: prefix("192.168.77.0/24"), Gateway: addr("10.0.0.1")})
		send := func(src, dst string) int {
			h.clear()
			h.Input(h.t0, h.datagram(src, dst))
			require.Len(t, h.sent, 1, "forwarded all the same")
			return len(h.errors)
		}
		require.Equal(t, 1, send("10.0.0.9", "192.168.77.1"))
		require.Equal(t, ErrorMessage{Type: TypeRedirect, Code: 1, Info: 0x0a000001}, h.errors[0])
		require.Equal(t, byte(63), h.about[0][8], "quoted as it goes on")
		require.Equal(t, addr("10.0.0.1"), h.sent[0].nextHop)
		require.EqualValues(t, 63, h.sent[0].h.TTL)

		require.Equal(t, 0, send("10.0.0.9", "192.168.77.2"), "the same sender waits")
		require.Equal(t, 1, send("10.0.0.8", "10.0.0.50"), "another sender; the destination is its own gateway")
		require.EqualValues(t, 0x0a000032, h.errors[0].Info)
		time.Sleep(41 * time.Millisecond)
		require.Equal(t, 1, send("10.0.0.9", "192.168.77.1"))
		time.Sleep(41 * time.Millisecond)
		require.Equal(t, 0, send("10.0.0.9", "192.168.77.1"), "twice as long each time")
		for range 30 {
			time.Sleep(15 * time.Second)
			send("10.0.0.9", "192.168.77.1")
		}
		require.Equal(t, 0, send("10.0.0.9", "192.168.77.1"), "after nine it is hopeless")
		time.Sleep(redirectSilence + time.Second)
		require.Equal(t, 1, send("10.0.0.9", "192.168.77.1"), "until it was silent for long")

		require.Equal(t, 0, send("99.0.0.1", "192.168.77.1"), "not to a sender that is no neighbour")
		require.NoError(t, h.SetConf("t0", "send_redirects", 0))
		require.Equal(t, 1, send("10.0.0.7", "192.168.77.1"), "all OR interface")
		require.NoError(t, h.SetConf("all", "send_redirects", 0))
		require.Equal(t, 0, send("10.0.0.6", "192.168.77.1"))
	})
}

func TestForwardRecordsRoute(t *testing.T) {
	h := newTestHost(t)
	h.forward()
	h.Input(h.t0, h.datagram("10.0.0.9", "10.0.1.50", func(ih *Header) { ih.Options = []byte{7, 11, 8, 1, 2, 3, 4, 0, 0, 0, 0, 0} }))
	require.Equal(t, []byte{7, 11, 12, 1, 2, 3, 4, 10, 0, 1, 2, 0}, h.sent[0].h.Options, "by the address it leaves from")
}

func TestForwardDoesNotAllocate(t *testing.T) {
	h := newTestHost(t)
	h.forward()
	h.t1.config.Neighbours = nextHop(releaseHop)
	p := h.datagram("10.0.0.9", "10.0.1.50")
	frame := append([]byte(nil), p.Bytes()...)
	p.Release()
	linktest.WantNoAllocs(t, func() { h.Input(h.t0, link.NewPacketFrom(frame)) })
}

func BenchmarkForward(b *testing.B) {
	h := newTestHost(b)
	h.forward()
	h.t1.config.Neighbours = nextHop(releaseHop)
	p := h.datagram("10.0.0.9", "10.0.1.50")
	frame := append([]byte(nil), p.Bytes()...)
	p.Release()
	b.ReportAllocs()
	for b.Loop() {
		h.Input(h.t0, link.NewPacketFrom(frame))
	}
}
