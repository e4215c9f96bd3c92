package tap_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/link/tap"
	"github.com/tapstack/tapstack/link/tap/taptest"
)

// datagram returns a frame of ours to the kernel's port 7, 10.0.0.1.
func datagram(d *tap.Device, port uint16) *link.Packet {
	b := make([]byte, 14+20+8+8)
	link.Ethernet{Dst: d.KernelAddr(), Src: d.Addr(), Type: link.IPv4}.Put(b)
	ip := b[14:]
	ip[0], ip[8], ip[9] = 0x45, 64, unix.IPPROTO_UDP
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	copy(ip[12:], []byte{10, 0, 0, 2, 10, 0, 0, 1})
	binary.BigEndian.PutUint16(ip[10:], ^link.Sum(ip[:20], 0))
	binary.BigEndian.PutUint16(ip[20:], port)
	binary.BigEndian.PutUint16(ip[22:], 7)
	binary.BigEndian.PutUint16(ip[24:], uint16(len(ip)-20)) // no checksum (RFC 768)
	return link.NewPacketFrom(b)
}

// A flow's answers come by the queue by which it leaves, and there are flows on
// both queues.
func TestQueues(t *testing.T) {
	for _, offload := range []tap.Offload{tap.OffloadAuto, tap.OffloadOff} {
		taptest.Namespace(t)
		linktest.WantNoPackets(t)
		d := open(t, tap.Config{Name: "t0", Peer: netip.MustParsePrefix("10.0.0.1/24"), Queues: 2, Offload: offload})
		server, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 7})
		require.NoError(t, err)
		defer server.Close()
		more, err := d.MoreQueues()
		require.NoError(t, err)
		require.Len(t, more, 1)
		queues := []link.Receiver{d, more[0]}

		type arrival struct {
			queue int
			port  uint16
		}
		arrivals, ended := make(chan arrival, 100), make(chan error)
		for i, q := range queues {
			go func() {
				for {
					p, err := q.Read()
					if err != nil {
						ended <- err
						return
					}
					if b := p.Bytes(); b[12] == 8 && b[13] == 0 && b[14+9] == unix.IPPROTO_UDP && b[14+21] == 7 {
						arrivals <- arrival{i, binary.BigEndian.Uint16(b[14+22:])}
					}
					p.Release()
				}
			}()
		}
		// The kernel learns our address from a request.
		arp := make([]byte, 42)
		link.Ethernet{Dst: link.BroadcastAddr, Src: d.Addr(), Type: link.ARP}.Put(arp)
		copy(arp[14:], []byte{0, 1, 8, 0, 6, 4, 0, 1})
		a := d.Addr()
		copy(arp[22:], a[:])
		copy(arp[28:], []byte{10, 0, 0, 2})
		copy(arp[38:], []byte{10, 0, 0, 1})
		require.NoError(t, d.Write(link.NewPacketFrom(arp)))

		seen, count := map[uint16]int{}, [2]int{}
		buf := make([]byte, 100)
		for range 3 {
			for port := uint16(5000); port < 5032; port++ {
				require.NoError(t, d.Write(datagram(d, port)))
				n, from, err := server.ReadFromUDP(buf)
				require.NoError(t, err)
				_, err = server.WriteToUDP(buf[:n], from)
				require.NoError(t, err)
				select {
				case x := <-arrivals:
					require.Equal(t, port, x.port)
					if q, ok := seen[port]; ok {
						require.Equal(t, q, x.queue, "port %d", port)
					}
					seen[port] = x.queue
					count[x.queue]++
				case <-time.After(5 * time.Second):
					require.Fail(t, "no answer")
				}
			}
		}
		require.Greater(t, count[0], 15)
		require.Greater(t, count[1], 15)
		require.NoError(t, d.Close())
		for range queues {
			require.ErrorIs(t, <-ended, net.ErrClosed)
		}
		require.False(t, exists("t0"))
	}
}

// Who does not ask for the queues reads all frames from the first.
func TestQueuesThatNobodyReads(t *testing.T) {
	taptest.Namespace(t)
	linktest.WantNoPackets(t)
	d := open(t, tap.Config{Name: "t0", Queues: 4})
	packets := listenRaw(t, "t0")
	for i := range 50 {
		f := frame(d.Addr(), d.KernelAddr(), 60)
		f[20] = byte(i)
		packets.send(f)
		require.Equal(t, f, readOf(t, d))
	}
}

func TestQueuesOfExistingDevices(t *testing.T) {
	taptest.Namespace(t)
	makeTAP(t, "single", unix.IFF_TAP)
	makeTAP(t, "multi", unix.IFF_TAP|unix.IFF_MULTI_QUEUE)
	_, err := tap.Open(tap.Config{Name: "single", Queues: 2})
	require.ErrorIs(t, err, unix.EINVAL)
	require.Equal(t, "tap: single has a single queue; ask for one, or make it anew by `ip tuntap add single mode tap multi_queue`: invalid argument", err.Error())
	require.True(t, persistent(t, "single", unix.IFF_TAP))
	for _, n := range []int{1, 3} {
		for _, offload := range []tap.Offload{tap.OffloadAuto, tap.OffloadOff} {
			d := open(t, tap.Config{Name: "multi", Queues: n, Offload: offload})
			more, err := d.MoreQueues()
			require.NoError(t, err)
			require.Len(t, more, n-1)
			_, err = tap.Open(tap.Config{Name: "multi", Queues: 2})
			require.ErrorIs(t, err, unix.EBUSY)
			require.NoError(t, d.Close())
			require.True(t, persistent(t, "multi", unix.IFF_TAP|unix.IFF_MULTI_QUEUE))
		}
	}
}

// A device of ours holds more frames than Linux's own, one that existed what it
// held.
func TestTxQueueLen(t *testing.T) {
	taptest.Namespace(t)
	makeTAP(t, "t9", unix.IFF_TAP)
	for _, c := range []struct {
		config tap.Config
		want   string
	}{
		{tap.Config{Name: "t0"}, "10000"},
		{tap.Config{Name: "t1", TxQueueLen: 77}, "77"},
		{tap.Config{Name: "t2", Queues: 2}, "10000"},
		{tap.Config{Name: "t9", TxQueueLen: 77}, "1000"},
	} {
		open(t, c.config)
		require.Equal(t, c.want, txQueueLen(t, c.config.Name), "%+v", c.config)
	}
}

func txQueueLen(t *testing.T, name string) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	r, err := unix.NewIfreq(name)
	require.NoError(t, err)
	require.NoError(t, unix.IoctlIfreq(fd, unix.SIOCGIFTXQLEN, r))
	return strconv.Itoa(int(r.Uint32()))
}
