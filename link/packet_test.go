package link

import (
	"bytes"
	"fmt"
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestPacketFront(t *testing.T) {
	wantNoPackets(t)
	p := NewPacketFrom([]byte("payload"))
	defer p.Release()
	require.Equal(t, Headroom, p.Headroom())

	copy(p.Push(3), "net")
	p.SetNetworkHeader()
	copy(p.Push(4), "link")
	require.Equal(t, "linknetpayload", string(p.Bytes()))

	require.Equal(t, "link", string(p.Pull(4)))
	require.Equal(t, "net", string(p.Pull(3)))
	p.SetTransportHeader()
	require.Equal(t, "pay", string(p.Pull(3)))
	require.Equal(t, 4, p.Len())
	require.Equal(t, "netpayload", string(p.NetworkHeader()), "kept while the front moves past it")
	require.Equal(t, "payload", string(p.TransportHeader()))

	p.Trim(2)
	require.Equal(t, "lo", string(p.Bytes()))
	p.Trim(5)
	require.Equal(t, "lo", string(p.Bytes()), "a trim never lengthens")
	p.Trim(-1)
	require.Equal(t, "lo", string(p.Bytes()))
	require.Equal(t, "netpaylo", string(p.NetworkHeader()))

	p.RestoreNetworkHeader()
	require.Equal(t, "netpaylo", string(p.Bytes()))
}

func TestPacketBack(t *testing.T) {
	wantNoPackets(t)
	p := NewPacket(4)
	defer p.Release()
	copy(p.Bytes(), "abcd")
	room := p.Tailroom()
	p.Trim(2)
	require.Equal(t, room+2, p.Tailroom())
	copy(p.Put(2), "XY")
	require.Equal(t, "abXY", string(p.Bytes()))
	require.Panics(t, func() { p.Put(p.Tailroom() + 1) })
	require.Panics(t, func() { p.Put(-1) })
}

func TestPacketWithoutHeaders(t *testing.T) {
	wantNoPackets(t)
	p := NewPacketFrom([]byte("x"))
	defer p.Release()
	require.Nil(t, p.NetworkHeader())
	require.Nil(t, p.TransportHeader())
	p.RestoreNetworkHeader()
	require.Equal(t, "x", string(p.Bytes()))
}

func TestPacketBytesCannotGrow(t *testing.T) {
	wantNoPackets(t)
	p := NewPacketFrom([]byte("abc"))
	defer p.Release()
	p.Trim(1)
	_ = append(p.Bytes(), 'X')
	_ = append(p.Push(1), 'Y')
	p.Pull(1)
	require.Equal(t, "a", string(p.Bytes()), "an append to a slice of the packet must not reach the packet")
}

func TestPacketPanics(t *testing.T) {
	wantNoPackets(t)
	p := NewPacket(4)
	require.Panics(t, func() { p.Push(Headroom + 1) })
	require.Panics(t, func() { p.Push(-1) })
	require.Panics(t, func() { p.Pull(5) })
	require.Panics(t, func() { p.Pull(-1) })
	p.Release()
	require.PanicsWithValue(t, "link: packet released twice", p.Release)
}

func TestPacketCopy(t *testing.T) {
	wantNoPackets(t)
	p := NewPacketFrom([]byte("hhhhdata"))
	defer p.Release()
	p.SetNetworkHeader()
	p.Pull(4)
	p.SetTransportHeader()
	p.EtherType, p.Type, p.Confirm, p.In = ARP, Broadcast, true, 7

	q := p.Copy()
	defer q.Release()
	require.Equal(t, p.Bytes(), q.Bytes())
	require.GreaterOrEqual(t, q.Headroom(), Headroom)
	require.Equal(t, []any{ARP, Broadcast, true, 7}, []any{q.EtherType, q.Type, q.Confirm, q.In})
	require.Equal(t, "data", string(q.TransportHeader()))

	q.Bytes()[0] = 'X'
	require.Equal(t, "data", string(p.Bytes()), "the copy has memory of its own")
}

func TestPacketIsClean(t *testing.T) {
	wantNoPackets(t)
	for _, n := range []int{64, 1514, 5000} {
		p := NewPacket(n)
		v := reflect.ValueOf(p).Elem()
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				require.True(t, f.IsZero(), v.Type().Field(i).Name)
				// Anything but zero: a field that is added is to be reset, too.
				switch f.Kind() {
				case reflect.Bool:
					f.SetBool(true)
				case reflect.Pointer:
					f.Set(reflect.New(f.Type().Elem()))
				case reflect.Int:
					f.SetInt(7)
				default:
					f.SetUint(7)
				}
			}
		}
		p.SetNetworkHeader()
		p.SetTransportHeader()
		c := NewChunk(100)
		p.Append(c, c.Bytes()[:100])
		p.Release()
		q := NewPacket(n) // very likely the same one
		for i := range v.NumField() {
			if f := reflect.ValueOf(q).Elem().Field(i); f.CanSet() {
				require.True(t, f.IsZero(), v.Type().Field(i).Name)
			}
		}
		require.Nil(t, q.NetworkHeader())
		require.Nil(t, q.TransportHeader())
		require.False(t, q.HasBody())
		require.Equal(t, n, q.Len())
		q.Release()
	}
}

func TestPacketSizes(t *testing.T) {
	wantNoPackets(t)
	for _, n := range []int{0, 1, shortMemory - Headroom, shortMemory - Headroom + 1, 1514, frameMemory - Headroom, frameMemory - Headroom + 1, 65535 + EthernetHeaderLen, 1 << 17} {
		p := NewPacketFrom(bytes.Repeat([]byte{0xab}, n))
		require.Equal(t, n, p.Len())
		require.Equal(t, Headroom, p.Headroom())
		p.Release()
	}
}

func TestPacketCost(t *testing.T) {
	wantNoPackets(t)
	for _, c := range []struct{ len, cost int }{
		{0, 832}, {28, 832}, {576, 832}, {577, 2304}, {1514, 2304}, {1515, 1536 + 768}, {9000, 9216 + 768},
	} {
		p := NewPacket(c.len)
		require.Equal(t, c.cost, p.Cost(), "%d bytes", c.len)
		p.Release()
	}
}

func TestPacketDoesNotAllocate(t *testing.T) {
	wantNoPackets(t)
	b := make([]byte, 1500)
	wantNoAllocs(t, func() {
		p := NewPacketFrom(b)
		p.Push(14)
		p.Pull(14)
		p.Release()
	})
}

func BenchmarkPacket(b *testing.B) {
	for _, n := range []int{64, 1500, 9000} {
		payload := make([]byte, n)
		b.Run(fmt.Sprintf("%dB", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				p := NewPacketFrom(payload)
				p.Push(20)
				p.Push(14)
				p.Release()
			}
		})
	}
}
