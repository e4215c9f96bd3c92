package tap_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/link/tap"
	"github.com/tapstack/tapstack/link/tap/taptest"
)

// readUDP reads until a datagram of the kernel's, front at its IPv4 header.
func readUDP(t *testing.T, d *tap.Device) *link.Packet {
	t.Helper()
	for {
		p, err := d.Read()
		require.NoError(t, err)
		if h, n, err := link.ParseEthernet(p.Bytes()); err == nil && h.Type == link.IPv4 && p.Bytes()[n+9] == unix.IPPROTO_UDP {
			p.Pull(n)
			return p
		}
		p.Release()
	}
}

func flat(p *link.Packet) []byte {
	b := make([]byte, p.Len())
	p.CopyTo(b)
	return b
}

func TestOffloads(t *testing.T) {
	taptest.Namespace(t)
	linktest.WantNoPackets(t)
	d := open(t, tap.Config{Name: "t0", Peer: netip.MustParsePrefix("10.0.0.1/24")})
	if err := d.Missing(); err != nil {
		t.Skip(err)
	}
	require.Equal(t, "sg csum tso4 uso4", d.Features().String())
	conn, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 9}, &net.UDPAddr{IP: net.IPv4(10, 0, 0, 255), Port: 9})
	require.NoError(t, err)
	defer conn.Close()
	raw, err := conn.SyscallConn()
	require.NoError(t, err)
	k, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 10})
	require.NoError(t, err)
	defer k.Close()
	packets := listenRaw(t, "t0")
	data := make([]byte, 60_000)
	for i := range data {
		data[i] = byte(i * 31 >> 3)
	}

	t.Run("checksum", func(t *testing.T) {
		_, err := conn.Write(data[:999])
		require.NoError(t, err)
		p := readUDP(t, d)
		defer p.Release()
		start, offset, ok := p.PartialChecksum()
		require.True(t, ok, "the kernel leaves it to us")
		require.Equal(t, []int{20, 6}, []int{start, offset})
		require.Equal(t, link.GSONone, p.GSO)
		require.False(t, p.HasBody())
		p.CompleteChecksum()
		b := p.Bytes()
		require.EqualValues(t, 0xffff, link.Sum(b[20:], link.Sum(b[12:20], 17+uint16(len(b)-20))))
	})
	for _, size := range []int{2000, 20_000, 60_000} { // each has its own way into memory
		t.Run("segmentation", func(t *testing.T) {
			require.NoError(t, raw.Control(func(fd uintptr) {
				require.NoError(t, unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_SEGMENT, 1400))
			}))
			_, err := conn.Write(data[:size])
			require.NoError(t, err)
			p := readUDP(t, d)
			defer p.Release()
			require.Equal(t, link.GSOUDP, p.GSO)
			require.Equal(t, 1400, p.GSOSize)
			require.Equal(t, 1428, p.SegmentLen())
			require.True(t, p.HasBody())
			require.GreaterOrEqual(t, p.Headroom(), link.Headroom)
			require.Equal(t, data[:size], flat(p)[28:])

			// The kernel understands it the way back.
			q := p.Copy()
			b := q.Bytes()
			copy(b[12:20], []byte{10, 0, 0, 7, 10, 0, 0, 1}) // the header's sum:
			b[10], b[11] = 0, 0
			sum := ^link.Sum(b[:20], 0)
			b[10], b[11] = byte(sum>>8), byte(sum)
			b[23] = 10
			pseudo := link.Sum(b[12:20], uint16(17+q.Len()-20))
			b[26], b[27] = byte(pseudo>>8), byte(pseudo)
			link.Ethernet{Dst: d.KernelAddr(), Src: d.Addr(), Type: link.IPv4}.Put(q.Push(link.EthernetHeaderLen))
			require.NoError(t, d.Write(q))
			var got []byte
			for len(got) < size {
				buf := make([]byte, 2000)
				n, err := k.Read(buf)
				require.NoError(t, err)
				require.LessOrEqual(t, n, 1400)
				got = append(got, buf[:n]...)
			}
			require.Equal(t, data[:size], got)
		})
	}
	t.Run("more pieces than one call takes", func(t *testing.T) {
		f := frame(d.KernelAddr(), d.Addr(), 1400)
		p := link.NewPacketFrom(f[:100])
		for at := 100; at < len(f); at += 40 {
			c := link.NewChunk(40)
			p.Append(c, c.Bytes()[:copy(c.Bytes(), f[at:min(at+40, len(f))])])
		}
		require.NoError(t, d.Write(p))
		require.Equal(t, f, packets.receive())
	})
	require.NoError(t, d.Close())
	_, err = d.Read()
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestOffloadsAreOffAfterwards(t *testing.T) {
	taptest.Namespace(t)
	makeTAP(t, "t0", unix.IFF_TAP)
	d := open(t, tap.Config{Name: "t0", Offload: tap.OffloadOn, Peer: netip.MustParsePrefix("10.0.0.1/24")})
	require.NotZero(t, d.Features())
	require.NoError(t, d.Close())
	fd := attach(t, "t0", unix.IFF_TAP) // who knows nothing of offloads
	defer unix.Close(fd)
	require.NoError(t, tap.SetUp("t0", true))
	require.NoError(t, tap.AddAddress("t0", netip.MustParsePrefix("10.0.0.1/24")))
	conn, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(10, 0, 0, 255), Port: 9})
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write(make([]byte, 1000))
	require.NoError(t, err)
	b := make([]byte, 2048)
	for {
		n, err := unix.Read(fd, b)
		require.NoError(t, err)
		if ip := b[14:n]; n > 34 && ip[0] == 0x45 && ip[9] == unix.IPPROTO_UDP {
			require.EqualValues(t, 0xffff, link.Sum(ip[20:], link.Sum(ip[12:20], 17+uint16(len(ip)-20))), "complete")
			return
		}
	}
}
