package tap_test

import (
	"net"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/link/tap"
	"github.com/tapstack/tapstack/link/tap/taptest"
)

var _ link.Device = (*tap.Device)(nil)

func open(t *testing.T, c tap.Config) *tap.Device {
	t.Helper()
	d, err := tap.Open(c)
	require.NoError(t, err)
	t.Cleanup(func() { d.Close() })
	return d
}

// readOf reads until a frame of the test's own EtherType: a kernel interface
// that comes up sends IPv6 frames of its own.
func readOf(t *testing.T, d *tap.Device) []byte {
	t.Helper()
	for {
		p, err := d.Read()
		require.NoError(t, err)
		b := append([]byte(nil), p.Bytes()...)
		require.GreaterOrEqual(t, p.Headroom(), link.Headroom)
		p.Release()
		if h, _, err := link.ParseEthernet(b); err == nil && h.Type == etherType {
			return b
		}
	}
}

func TestCreate(t *testing.T) {
	taptest.Namespace(t)
	linktest.WantNoPackets(t)
	station := link.Addr{2, 0, 0, 0, 0, 2}
	d := open(t, tap.Config{Name: "t0", Addr: station, MTU: 1400, Peer: netip.MustParsePrefix("10.0.0.1/24")})
	require.Equal(t, "t0", d.Name())
	require.Equal(t, station, d.Addr())
	require.Equal(t, 1400, d.MTU())

	i, err := net.InterfaceByName("t0")
	require.NoError(t, err)
	require.NotZero(t, i.Flags&net.FlagUp)
	require.NotZero(t, i.Flags&net.FlagRunning)
	require.Equal(t, 1400, i.MTU)
	require.Equal(t, i.HardwareAddr.String(), d.KernelAddr().String())
	require.Equal(t, []string{"10.0.0.1/24"}, addresses(t, "t0"))

	require.NoError(t, d.Close())
	require.False(t, exists("t0"), "what Open made goes away with Close")
	require.NoError(t, d.Close(), "twice is once")
}

func TestCreateWithDefaults(t *testing.T) {
	taptest.Namespace(t)
	a, b := open(t, tap.Config{}), open(t, tap.Config{})
	require.Equal(t, "tap0 tap1", a.Name()+" "+b.Name(), "the kernel chooses")
	require.Equal(t, 1500, a.MTU())
	require.NotEqual(t, a.Addr(), a.KernelAddr())
	require.NotEqual(t, a.Addr(), b.Addr())
	require.False(t, a.Addr().IsZero())
	require.Empty(t, addresses(t, "tap0"))
}

func TestAttachLeavesTheDeviceAsItWas(t *testing.T) {
	for _, c := range []struct {
		name  string
		flags uint16
	}{
		{"plain", unix.IFF_TAP},
		{"multi-queue", unix.IFF_TAP | unix.IFF_MULTI_QUEUE},
		{"with a virtio-net header", unix.IFF_TAP | unix.IFF_VNET_HDR},
	} {
		t.Run(c.name, func(t *testing.T) {
			taptest.Namespace(t)
			makeTAP(t, "t0", c.flags)
			for _, offload := range []tap.Offload{tap.OffloadAuto, tap.OffloadOff} {
				d := open(t, tap.Config{Name: "t0", Offload: offload})
				require.NoError(t, d.Close())
				require.True(t, persistent(t, "t0", c.flags))
			}
			require.NoError(t, tap.AddAddress("t0", netip.MustParsePrefix("192.0.2.1/24")))
			before, err := net.InterfaceByName("t0")
			require.NoError(t, err)

			d := open(t, tap.Config{Name: "t0", MTU: 2000, Peer: netip.MustParsePrefix("10.0.0.1/24")})
			during, err := net.InterfaceByName("t0")
			require.NoError(t, err)
			require.Equal(t, before.Index, during.Index, "the same device")
			require.Equal(t, before.HardwareAddr, during.HardwareAddr)
			require.Equal(t, 2000, during.MTU)
			require.NotZero(t, during.Flags&net.FlagUp)
			require.Equal(t, []string{"192.0.2.1/24", "10.0.0.1/24"}, addresses(t, "t0"), "added to what was there")
			require.NoError(t, d.Close())

			after, err := net.InterfaceByName("t0")
			require.NoError(t, err, "a persistent device stays")
			require.Equal(t, before.Index, after.Index)
			require.Equal(t, before.MTU, after.MTU)
			require.Equal(t, before.Flags, after.Flags)
			require.Equal(t, []string{"192.0.2.1/24"}, addresses(t, "t0"))
			require.True(t, persistent(t, "t0", c.flags))
		})
	}
}

func TestAttachKeepsWhatIsRightAlready(t *testing.T) {
	taptest.Namespace(t)
	makeTAP(t, "t0", unix.IFF_TAP)
	peer := netip.MustParsePrefix("10.0.0.1/24")
	require.NoError(t, tap.AddAddress("t0", peer))
	require.NoError(t, tap.AddAddress("t0", peer), "twice is once")
	require.NoError(t, tap.SetUp("t0", true))
	setMTU(t, "t0", 1300)

	d := open(t, tap.Config{Name: "t0", Peer: peer})
	require.Equal(t, 1300, d.MTU(), "no MTU asked for: the device's")
	require.NoError(t, d.Close())
	i, err := net.InterfaceByName("t0")
	require.NoError(t, err)
	require.NotZero(t, i.Flags&net.FlagUp, "it was up before")
	require.Equal(t, []string{"10.0.0.1/24"}, addresses(t, "t0"))
	require.Equal(t, 1300, i.MTU)
}

func TestAttachOfOtherNamespacesThread(t *testing.T) {
	ns := taptest.Namespace(t)
	makeTAP(t, "t0", unix.IFF_TAP)
	var d *tap.Device
	ns.Do(func() { d = open(t, tap.Config{Name: "t0", MTU: 1234}) })
	closed := make(chan error)
	go func() { closed <- d.Close() }() // outside the namespace
	require.NoError(t, <-closed)
	i, err := net.InterfaceByName("t0")
	require.NoError(t, err)
	require.Equal(t, 1500, i.MTU, "restored all the same")
}

func TestBusy(t *testing.T) {
	taptest.Namespace(t)
	makeTAP(t, "mq", unix.IFF_TAP|unix.IFF_MULTI_QUEUE)
	open(t, tap.Config{Name: "t0", Peer: netip.MustParsePrefix("10.0.0.1/24")})
	open(t, tap.Config{Name: "mq"})
	for _, name := range []string{"t0", "mq"} {
		_, err := tap.Open(tap.Config{Name: name, MTU: 900})
		require.ErrorIs(t, err, unix.EBUSY)
		require.Equal(t, "tap: "+name+" is in use by another process; stop it or choose another name: device or resource busy", err.Error())
		i, err := net.InterfaceByName(name)
		require.NoError(t, err)
		require.Equal(t, 1500, i.MTU, "nothing was changed")
	}
}

func TestErrors(t *testing.T) {
	taptest.Namespace(t)
	makeTAP(t, "tun0", unix.IFF_TUN)
	makeTAP(t, "t1", unix.IFF_TAP)
	require.NoError(t, tap.AddAddress("t1", netip.MustParsePrefix("10.0.1.1/24")))
	t1, err := net.InterfaceByName("t1")
	require.NoError(t, err)
	for _, c := range []struct {
		name  string
		in    tap.Config
		errno error
		text  string
	}{
		{"a TUN device", tap.Config{Name: "tun0"}, unix.EINVAL, "tap: tun0 exists and is not a TAP device"},
		{"an interface of another kind", tap.Config{Name: "lo"}, unix.EINVAL, "tap: lo exists and is not a TAP device"},
		{"a bad name", tap.Config{Name: "a name too long for it"}, unix.EINVAL, "is no interface name"},
		{"the kernel's own address", tap.Config{Name: "t1", Addr: link.Addr(t1.HardwareAddr), MTU: 1000}, unix.EADDRINUSE, "is the address of the kernel's side"},
		{"an address on another interface", tap.Config{Name: "t2", Peer: netip.MustParsePrefix("10.0.1.1/16")}, unix.EADDRINUSE, "tap: 10.0.1.1 is the address of t1 already"},
	} {
		_, err := tap.Open(c.in)
		require.ErrorIs(t, err, c.errno, c.name)
		require.Contains(t, err.Error(), c.text, c.name)
		require.NotContains(t, err.Error(), "\n", c.name)
	}
	i, err := net.InterfaceByName("t1")
	require.NoError(t, err)
	require.Equal(t, t1.Flags, i.Flags)
	require.Equal(t, 1500, i.MTU)
	require.True(t, persistent(t, "t1", unix.IFF_TAP))
	require.False(t, exists("t2"), "nothing is left behind")
}

func TestNoPermission(t *testing.T) {
	t.Run("without CAP_NET_ADMIN", func(t *testing.T) {
		ns := taptest.Namespace(t)
		makeTAP(t, "owned", unix.IFF_TAP)
		peer := netip.MustParsePrefix("10.0.0.1/24")
		require.NoError(t, tap.AddAddress("owned", peer))
		require.NoError(t, tap.SetUp("owned", true))
		ns.Do(func() {
			// The thread alone gives up its capabilities, and ends with Do.
			hdr := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
			var none [2]unix.CapUserData
			require.NoError(t, unix.Capset(&hdr, &none[0]))
			_, err := tap.Open(tap.Config{Name: "t0"})
			require.ErrorIs(t, err, os.ErrPermission)
			require.Contains(t, err.Error(), "tap: no permission to open t0; be root or have CAP_NET_ADMIN")

			d, err := tap.Open(tap.Config{Name: "owned", Peer: peer})
			if err == nil {
				require.NoError(t, d.Close(), "a device that is set up needs no privilege")
			}
		})
		require.False(t, exists("t0"))
	})
	t.Run("without access to the driver", func(t *testing.T) {
		ns := taptest.Namespace(t)
		info, err := os.Stat("/dev/net/tun")
		require.NoError(t, err)
		if info.Mode().Perm()&0o006 != 0 {
			t.Skip("the driver is open to everybody here")
		}
		ns.Do(func() {
			if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); errno != 0 { // this thread only
				t.Logf("not tested: no such user in this user namespace: %v", errno)
				return
			}
			_, err := tap.Open(tap.Config{Name: "t0"})
			require.ErrorIs(t, err, unix.EACCES)
			require.Contains(t, err.Error(), "tap: no permission to open t0")
		})
	})
}

func TestNoDriver(t *testing.T) {
	ns := taptest.Namespace(t)
	ns.Do(func() {
		// A mount namespace for the thread, with nothing in /dev/net.
		require.NoError(t, unix.Unshare(unix.CLONE_NEWNS))
		require.NoError(t, unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""))
		require.NoError(t, unix.Mount("none", "/dev/net", "tmpfs", 0, ""))
		_, err := tap.Open(tap.Config{Name: "t0"})
		require.ErrorIs(t, err, unix.ENOENT)
		require.Contains(t, err.Error(), "tap: no TUN/TAP driver at /dev/net/tun; run `modprobe tun`")
	})
}

func TestFailuresLeaveNoDescriptor(t *testing.T) {
	taptest.Namespace(t)
	open(t, tap.Config{Name: "t0"})
	for _, name := range []string{"t0", "lo", "a/b"} {
		_, err := tap.Open(tap.Config{Name: name})
		require.Error(t, err)
	}
	before := openFiles(t)
	for range 10 {
		for _, c := range []tap.Config{{Name: "t0"}, {Name: "lo"}, {Name: "t1", Peer: netip.MustParsePrefix("127.0.0.1/8")}} {
			_, err := tap.Open(c)
			require.Error(t, err)
		}
		d, err := tap.Open(tap.Config{Name: "t2"})
		require.NoError(t, err)
		require.NoError(t, d.Close())
	}
	require.Equal(t, before, openFiles(t))
}

func TestFramesBothWays(t *testing.T) {
	taptest.Namespace(t)
	linktest.WantNoPackets(t)
	d := open(t, tap.Config{Name: "t0", MTU: tap.MaxMTU})
	k := listenRaw(t, "t0")
	for _, n := range []int{0, 1, 46, 1500, 1501, 9000, tap.MaxMTU} {
		up := frame(d.KernelAddr(), d.Addr(), n)
		require.NoError(t, d.Write(link.NewPacketFrom(up)))
		require.Equal(t, up, k.receive(), "%d bytes up", n)
		down := frame(d.Addr(), d.KernelAddr(), n)
		k.send(down)
		require.Equal(t, down, readOf(t, d), "%d bytes down", n)
	}
}

func TestFramesLongerThanExpected(t *testing.T) {
	taptest.Namespace(t)
	linktest.WantNoPackets(t)
	d := open(t, tap.Config{Name: "t0"})
	setMTU(t, "t0", 20_000) // after Open
	k := listenRaw(t, "t0")
	long := frame(d.Addr(), d.KernelAddr(), 20_000)
	k.send(long)
	require.Equal(t, long, readOf(t, d))
	require.Equal(t, 1500, d.MTU())
}

func TestChecksumsAreComplete(t *testing.T) {
	taptest.Namespace(t)
	linktest.WantNoPackets(t)
	// What a virtual machine leaves behind: the header, and offloads on.
	fd := attach(t, "t0", unix.IFF_TAP|unix.IFF_VNET_HDR)
	require.NoError(t, unix.IoctlSetInt(fd, unix.TUNSETOFFLOAD, unix.TUN_F_CSUM|unix.TUN_F_TSO4|unix.TUN_F_UFO))
	require.NoError(t, unix.IoctlSetInt(fd, unix.TUNSETPERSIST, 1))
	require.NoError(t, unix.Close(fd))

	d := open(t, tap.Config{Name: "t0", Peer: netip.MustParsePrefix("10.0.0.1/24"), Offload: tap.OffloadOff})
	require.Zero(t, d.Features())
	conn, err := net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(10, 0, 0, 255), Port: 9})
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write(make([]byte, 1000))
	require.NoError(t, err)
	for {
		p, err := d.Read()
		require.NoError(t, err)
		h, n, _ := link.ParseEthernet(p.Bytes())
		ip := append([]byte(nil), p.Bytes()[n:]...)
		p.Release()
		if h.Type != link.IPv4 || ip[9] != unix.IPPROTO_UDP {
			continue
		}
		require.Len(t, ip, 1028)
		sum := uint32(unix.IPPROTO_UDP) + uint32(len(ip)-20)
		for i := 12; i < len(ip); i += 2 { // addresses and all of UDP
			sum += uint32(ip[i])<<8 | uint32(ip[i+1])
		}
		for sum>>16 != 0 {
			sum = sum>>16 + sum&0xffff
		}
		require.EqualValues(t, 0xffff, sum, "UDP checksum")
		return
	}
}

func TestWriteErrors(t *testing.T) {
	taptest.Namespace(t)
	linktest.WantNoPackets(t)
	d := open(t, tap.Config{Name: "t0"})
	ok := frame(d.KernelAddr(), d.Addr(), 46)

	require.ErrorIs(t, d.Write(link.NewPacket(3)), unix.EINVAL, "shorter than an Ethernet header")

	require.NoError(t, tap.SetUp("t0", false))
	err := d.Write(link.NewPacketFrom(ok))
	require.ErrorIs(t, err, unix.EIO)
	require.Contains(t, err.Error(), "tap: the kernel's side of t0 is down")
	require.NoError(t, tap.SetUp("t0", true))
	require.NoError(t, d.Write(link.NewPacketFrom(ok)), "and up again")

	require.NoError(t, d.Close())
	require.ErrorIs(t, d.Write(link.NewPacketFrom(ok)), net.ErrClosed)
	_, err = d.Read()
	require.ErrorIs(t, err, net.ErrClosed)
}

func TestCloseUnblocksRead(t *testing.T) {
	taptest.Namespace(t)
	linktest.WantNoPackets(t)
	d := open(t, tap.Config{Name: "t0"})
	read := make(chan error)
	go func() {
		for {
			p, err := d.Read()
			if err != nil {
				read <- err
				return
			}
			p.Release()
		}
	}()
	time.Sleep(10 * time.Millisecond) // let it block: there is no other sign
	require.NoError(t, d.Close())
	require.ErrorIs(t, <-read, net.ErrClosed)
}

func TestRemovedUnderneath(t *testing.T) {
	taptest.Namespace(t)
	linktest.WantNoPackets(t)
	makeTAP(t, "t0", unix.IFF_TAP)
	d := open(t, tap.Config{Name: "t0", MTU: 1300})
	read := make(chan error)
	go func() {
		for {
			p, err := d.Read()
			if err != nil {
				read <- err
				return
			}
			p.Release()
		}
	}()
	removeLink(t, "t0")
	select {
	case err := <-read:
		require.ErrorIs(t, err, unix.EBADFD)
		require.Contains(t, err.Error(), "tap: t0 was removed")
	case <-time.After(5 * time.Second):
		t.Fatal("Read does not notice")
	}
	require.ErrorIs(t, d.Write(link.NewPacket(60)), unix.EBADFD)
	require.NoError(t, d.Close(), "nothing is left to restore")
}

func TestConcurrentUse(t *testing.T) {
	taptest.Namespace(t)
	linktest.WantNoPackets(t)
	d := open(t, tap.Config{Name: "t0"})
	k := listenRaw(t, "t0")
	const writers, each = 4, 40
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				if err := d.Write(link.NewPacketFrom(frame(d.KernelAddr(), d.Addr(), 100))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for range writers * each {
		require.Equal(t, frame(d.KernelAddr(), d.Addr(), 100), k.receive())
	}
	wg.Wait()

	wg.Go(func() {
		for d.Write(link.NewPacketFrom(frame(d.KernelAddr(), d.Addr(), 100))) == nil {
		}
	})
	require.NoError(t, d.Close())
	wg.Wait()
}

func TestDoesNotAllocate(t *testing.T) {
	taptest.Namespace(t)
	linktest.WantNoPackets(t)
	d := open(t, tap.Config{Name: "t0"})
	k := listenRaw(t, "t0")
	up, down := frame(d.KernelAddr(), d.Addr(), 1000), frame(d.Addr(), d.KernelAddr(), 1000)
	buf := make([]byte, 2000)
	for range 10 { // the IPv6 frames of a device that has just come up
		k.send(down)
	}
	linktest.WantNoAllocs(t, func() {
		if err := d.Write(link.NewPacketFrom(up)); err != nil {
			t.Error(err)
		}
		_, _ = unix.Read(k.fd, buf)
		_, _ = unix.Write(k.fd, down)
		p, err := d.Read()
		if err != nil {
			t.Error(err)
		}
		p.Release()
	})
}

func TestKernelHelpers(t *testing.T) {
	taptest.Namespace(t)
	require.ErrorIs(t, tap.SetUp("nosuch", true), unix.ENODEV)
	require.ErrorIs(t, tap.AddAddress("nosuch", netip.MustParsePrefix("10.0.0.1/24")), unix.ENODEV)
	require.ErrorIs(t, tap.AddAddress("lo", netip.MustParsePrefix("fd00::1/64")), unix.EINVAL)
	require.NoError(t, tap.AddAddress("lo", netip.MustParsePrefix("10.9.9.9/32")))
	require.Equal(t, []string{"127.0.0.1/8", "10.9.9.9/32"}, addresses(t, "lo"))
	require.NoError(t, tap.SetUp("lo", false))
	i, err := net.InterfaceByName("lo")
	require.NoError(t, err)
	require.Zero(t, i.Flags&net.FlagUp)
}

func BenchmarkWrite(b *testing.B) {
	taptest.Namespace(b)
	d, err := tap.Open(tap.Config{Name: "t0"})
	require.NoError(b, err)
	defer d.Close()
	f := frame(d.KernelAddr(), d.Addr(), 1486)
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Write(link.NewPacketFrom(f)); err != nil {
			b.Fatal(err)
		}
	}
}
