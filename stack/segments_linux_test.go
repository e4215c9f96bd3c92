package stack_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4/udp"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/tap"
)

// The socket option UDP_SEGMENT of the kernel's sockets.
const (
	solUDP     = 17
	udpSegment = 103
)

// Many datagrams in one call, both ways: in one frame where the device takes it,
// and one by one where it does not.
func TestKernelSegments(t *testing.T) {
	const size, total = 1400, 50_000
	data := make([]byte, total)
	for i := range data {
		data[i] = byte(i * 31 >> 3)
	}
	for _, c := range []struct {
		name    string
		offload tap.Offload
	}{{"with offloads", tap.OffloadAuto}, {"plain frames", tap.OffloadOff}} {
		t.Run(c.name, func(t *testing.T) {
			h, ns := onTAPWith(t, c.offload, nil)
			var k *net.UDPConn
			var err error
			ns.Do(func() { k, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 7000}) })
			require.NoError(t, err)
			defer k.Close()
			require.NoError(t, k.SetDeadline(time.Now().Add(10*time.Second)))
			ours, err := h.UDP().Dial(netip.MustParseAddrPort("10.0.0.2:7000"), netip.MustParseAddrPort("10.0.0.1:7000"), udp.SocketConfig{})
			require.NoError(t, err)
			defer ours.Close()
			require.NoError(t, ours.SetDeadline(time.Now().Add(10*time.Second)))
			// Who waits for a neighbour has room for less.
			_, err = ours.Write(nil)
			require.NoError(t, err)
			buf := make([]byte, 65535)
			_, err = k.Read(buf)
			require.NoError(t, err)

			dev := h.Interface("t0")
			whole := dev.Features()&link.UDPSegmentation != 0
			before := dev.Stats().TxPackets.Load()
			_, err = ours.Send(data, netip.AddrPort{}, udp.SendOptions{SegmentSize: size})
			require.NoError(t, err)
			var got []byte
			for len(got) < total {
				n, err := k.Read(buf)
				require.NoError(t, err)
				require.Equal(t, min(size, total-len(got)), n)
				got = append(got, buf[:n]...)
			}
			require.True(t, bytes.Equal(data, got))
			if whole {
				require.EqualValues(t, 1, dev.Stats().TxPackets.Load()-before, "one frame")
			}

			raw, err := k.SyscallConn()
			require.NoError(t, err)
			var errno error
			require.NoError(t, raw.Control(func(fd uintptr) { errno = syscall.SetsockoptInt(int(fd), solUDP, udpSegment, size) }))
			require.NoError(t, errno)
			oob := make([]byte, 100)
			for _, coalesce := range []bool{false, true} {
				require.NoError(t, ours.SetCoalescing(coalesce))
				before := dev.Stats().RxPackets.Load()
				_, err := k.WriteTo(data, &net.UDPAddr{IP: net.IPv4(10, 0, 0, 2), Port: 7000})
				require.NoError(t, err)
				got = got[:0]
				for len(got) < total {
					n, oobn, _, _, err := ours.ReadMsgUDPAddrPort(buf, oob)
					require.NoError(t, err)
					if !coalesce {
						require.Equal(t, min(size, total-len(got)), n)
					} else if n > size {
						require.EqualValues(t, size, binary.NativeEndian.Uint32(oob[oobn-8:]))
					}
					if coalesce && whole {
						require.Equal(t, total, n, "as it came")
					}
					got = append(got, buf[:n]...)
				}
				require.True(t, bytes.Equal(data, got))
				if whole {
					// The kernel may ask by ARP at the same time.
					require.LessOrEqual(t, dev.Stats().RxPackets.Load()-before, uint64(2), "one frame for %d datagrams", total/size)
				}
			}
		})
	}
}

// BenchmarkKernelDatagrams is what a host sends to a kernel's socket: one by one,
// and many in one call.
func BenchmarkKernelDatagrams(b *testing.B) {
	for _, size := range []int{0, 1472} {
		b.Run(fmt.Sprintf("segments of %d", size), func(b *testing.B) {
			h, ns := onTAP(b, nil)
			var k *net.UDPConn
			var err error
			ns.Do(func() { k, err = net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 7000}) })
			require.NoError(b, err)
			defer k.Close()
			ours, err := h.UDP().Dial(netip.AddrPort{}, netip.MustParseAddrPort("10.0.0.1:7000"), udp.SocketConfig{})
			require.NoError(b, err)
			defer ours.Close()
			_, err = ours.Write(nil)
			require.NoError(b, err)
			_, err = k.Read(nil) // the neighbour is known
			require.NoError(b, err)
			data := make([]byte, 44*1472)
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if size > 0 {
					_, err = ours.Send(data, netip.AddrPort{}, udp.SendOptions{SegmentSize: size})
				} else {
					for at := 0; at < len(data) && err == nil; at += 1472 {
						_, err = ours.Write(data[at : at+1472])
					}
				}
				require.NoError(b, err)
			}
		})
	}
}
