package tap_test

import (
	"encoding/binary"
	"net"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/link/tap"
	"github.com/tapstack/tapstack/link/tap/taptest"
)

// report is one answer of ReadCarrier.
type report struct {
	on  bool
	err error
}

// watch reads a device's carrier until the first error.
func watch(d *tap.Device) <-chan report {
	c := make(chan report, 100)
	go func() {
		for {
			on, err := d.ReadCarrier()
			c <- report{on, err}
			if err != nil {
				return
			}
		}
	}()
	return c
}

// next waits for a report, which needs no time of its own.
func next(t *testing.T, c <-chan report) report {
	t.Helper()
	select {
	case r := <-c:
		return r
	case <-time.After(5 * time.Second):
		require.Fail(t, "nothing is reported")
		return report{}
	}
}

// flap makes one loss that must be the next thing reported: then nothing was
// before.
func flap(t *testing.T, name string, c <-chan report) {
	t.Helper()
	require.Empty(t, c)
	require.NoError(t, tap.SetUp(name, false))
	require.Equal(t, report{on: false}, next(t, c))
	require.NoError(t, tap.SetUp(name, true))
	require.Equal(t, report{on: true}, next(t, c))
	require.Empty(t, c)
}

func TestCarrier(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(t *testing.T)
	}{
		{"created", func(*testing.T) {}},
		{"attached", func(t *testing.T) { makeTAP(t, "t0", unix.IFF_TAP) }},
		{"attached, and up before", func(t *testing.T) {
			makeTAP(t, "t0", unix.IFF_TAP)
			require.NoError(t, tap.SetUp("t0", true))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			taptest.Namespace(t)
			c.make(t)
			d := open(t, tap.Config{Name: "t0"})
			other := open(t, tap.Config{Name: "t1"})
			reports, others := watch(d), watch(other)
			for range 3 {
				flap(t, "t0", reports)
			}
			// What says nothing of the link is no report.
			setMTU(t, "t0", 1400)
			require.NoError(t, tap.AddAddress("t0", netip.MustParsePrefix("10.0.0.1/24")))
			require.NoError(t, tap.SetUp("t0", true))
			flap(t, "t1", others)
			flap(t, "t0", reports)
			require.Empty(t, others)

			require.NoError(t, d.Close())
			require.ErrorIs(t, next(t, reports).err, net.ErrClosed, "without a word of what Close does")
			_, err := d.ReadCarrier()
			require.ErrorIs(t, err, net.ErrClosed)
			require.NoError(t, other.Close())
			require.ErrorIs(t, next(t, others).err, net.ErrClosed)
		})
	}
}

// What happens while nobody reads is not lost.
func TestCarrierOfBefore(t *testing.T) {
	taptest.Namespace(t)
	d := open(t, tap.Config{Name: "t0"})
	require.NoError(t, tap.SetUp("t0", false))
	on, err := d.ReadCarrier()
	require.NoError(t, err)
	require.False(t, on)
	require.NoError(t, tap.SetUp("t0", true))
	on, err = d.ReadCarrier()
	require.NoError(t, err)
	require.True(t, on)
}

// More changes than the kernel remembers: the last one counts.
func TestCarrierAfterTooManyChanges(t *testing.T) {
	taptest.Namespace(t)
	d := open(t, tap.Config{Name: "t0"})
	for range 1000 {
		require.NoError(t, tap.SetUp("t0", false))
		require.NoError(t, tap.SetUp("t0", true))
	}
	require.NoError(t, tap.SetUp("t0", false))
	reports := watch(d)
	n, last := 0, true
	for done := false; !done; {
		select {
		case r := <-reports:
			require.NoError(t, r.err)
			require.NotEqual(t, last, r.on)
			last = r.on
			n++
		case <-time.After(500 * time.Millisecond): // the end of what there is has no other sign
			done = true
		}
	}
	require.False(t, last)
	require.Less(t, n, 2001, "some were lost, or this tests nothing")
	require.NoError(t, tap.SetUp("t0", true))
	require.Equal(t, report{on: true}, next(t, reports))
	require.NoError(t, d.Close())
	require.Error(t, next(t, reports).err)
}

func TestCarrierRemovedUnderneath(t *testing.T) {
	taptest.Namespace(t)
	linktest.WantNoPackets(t)
	d := open(t, tap.Config{Name: "t0"})
	reports := watch(d)
	removeLink(t, "t0")
	require.Equal(t, report{on: false}, next(t, reports))
	// One of the same name is another one.
	open(t, tap.Config{Name: "t0"})
	require.NoError(t, tap.SetUp("t0", false))
	require.NoError(t, tap.SetUp("t0", true))
	require.ErrorIs(t, d.Write(link.NewPacket(60)), unix.EBADFD)
	require.Empty(t, reports)
	require.NoError(t, d.Close())
	require.ErrorIs(t, next(t, reports).err, net.ErrClosed)
}

func TestCarrierMovedToAnotherNamespace(t *testing.T) {
	taptest.Namespace(t)
	linktest.WantNoPackets(t)
	d := open(t, tap.Config{Name: "t0"})
	reports := watch(d)
	var fd int
	done := make(chan struct{})
	elsewhere := make(chan func())
	go func() { // a thread in a namespace of its own
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			t.Error(err)
		}
		fd, _ = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		for f := range elsewhere {
			f()
		}
	}()
	elsewhere <- func() {}
	defer unix.Close(fd)

	i, err := net.InterfaceByName("t0")
	require.NoError(t, err)
	linkRequest(t, unix.RTM_NEWLINK, i.Index, attr(unix.IFLA_NET_NS_FD, binary.NativeEndian.AppendUint32(nil, uint32(fd))))
	require.False(t, exists("t0"))
	require.Equal(t, report{on: false}, next(t, reports))
	for range 2 {
		for _, up := range []bool{true, false} {
			errs := make(chan error, 1)
			elsewhere <- func() { errs <- tap.SetUp("t0", up) }
			require.NoError(t, <-errs)
			require.Equal(t, report{on: up}, next(t, reports))
		}
	}
	require.NoError(t, d.Close())
	require.ErrorIs(t, next(t, reports).err, net.ErrClosed)
	close(elsewhere)
	<-done
}

// A bridge tells of ports that leave as if they were removed.
func TestCarrierOfBridgePort(t *testing.T) {
	taptest.Namespace(t)
	d := open(t, tap.Config{Name: "t0"})
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fd)
	if err := bridge(fd, unix.SIOCBRADDBR, "br0"); err != nil {
		t.Skipf("no bridges here: %v", err)
	}
	i, err := net.InterfaceByName("t0")
	require.NoError(t, err)
	reports := watch(d)
	for _, req := range []uint{unix.SIOCBRADDIF, unix.SIOCBRDELIF} {
		ifr(t, req, "br0", func(r *unix.Ifreq) { r.SetUint32(uint32(i.Index)) })
	}
	flap(t, "t0", reports)
	require.NoError(t, d.Close())
	require.Error(t, next(t, reports).err)
}
