package stack_test

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/fault"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/link/pcap"
	"github.com/tapstack/tapstack/link/pipe"
	"github.com/tapstack/tapstack/stack"
)

// cable is a device whose link a test pulls and plugs.
type cable struct {
	link.Device
	reports chan error // nil: the link comes or goes
	on      bool
	closed  chan struct{}
	once    sync.Once
	late    bool // Close leaves ReadCarrier be
}

func newCable() *cable {
	return &cable{Device: pipe.NewLAN(pipe.LANConfig{}).Attach(link.Addr{2, 0, 0, 0, 0, 1}), reports: make(chan error), on: true, closed: make(chan struct{})}
}

func (c *cable) ReadCarrier() (bool, error) {
	select {
	case err := <-c.reports:
		c.on = !c.on
		return c.on, err
	case <-c.closed:
		return false, net.ErrClosed
	}
}

func (c *cable) Close() error {
	if !c.late {
		c.once.Do(func() { close(c.closed) })
	}
	return c.Device.Close()
}

// journal is a log that a test reads.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(b)
}

// lines returns what was logged, a message each, without the time.
func (j *journal) lines() (list []string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for l := range strings.Lines(j.b.String()) {
		_, l, _ = strings.Cut(l, "level=")
		list = append(list, strings.TrimSpace(l))
	}
	return list
}

// logger logs to j what people are to see.
func (j *journal) logger() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// cabled is a host at 10.0.0.1 on a cable.
func cabled(t *testing.T, wrap func(link.Device) link.Device) (*stack.Host, *cable, *journal) {
	linktest.WantNoPackets(t)
	j, c := new(journal), newCable()
	h, err := stack.New(stack.Config{Logger: j.logger()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	_, err = h.AddInterface(stack.InterfaceConfig{Name: "eth0", Device: wrap(c), Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}})
	require.NoError(t, err)
	return h, c, j
}

func bare(d link.Device) link.Device { return d }

// The loss of the carrier reaches the host through whatever wraps the device.
func TestCarrierOfDevice(t *testing.T) {
	for _, c := range []struct {
		name string
		wrap func(link.Device) link.Device
	}{
		{"bare", bare},
		{"behind faults", func(d link.Device) link.Device { return fault.New(d, fault.Config{}) }},
		{"recorded, behind faults", func(d link.Device) link.Device {
			r, err := pcap.New(fault.New(d, fault.Config{}), new(bytes.Buffer), pcap.Config{})
			require.NoError(t, err)
			return r
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h, cable, j := cabled(t, c.wrap)
				i := h.Interface("eth0")
				require.True(t, i.Carrier(), "to begin with")
				for range 2 {
					cable.reports <- nil
					synctest.Wait()
					require.False(t, i.Carrier())
					require.True(t, i.Up(), "which is another thing")
					cable.reports <- nil
					synctest.Wait()
					require.True(t, i.Carrier())
				}
				off, on := `INFO msg="interface has lost its carrier" name=eth0`, `INFO msg="interface has carrier" name=eth0`
				require.Equal(t, []string{off, on, off, on}, j.lines())
			})
		})
	}
}

// A device that cannot tell any more is taken to have a link.
func TestCarrierUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, cable, j := cabled(t, bare)
		cable.reports <- nil
		synctest.Wait()
		require.False(t, h.Interface("eth0").Carrier())
		cable.reports <- errors.New("no idea")
		synctest.Wait()
		require.True(t, h.Interface("eth0").Carrier())
		require.Equal(t, `WARN msg="interface's carrier cannot be watched any more" name=eth0 err="no idea"`, j.lines()[1])
	})
}

// What a command says holds until the device says something, and without a
// carrier frames are counted, not sent.
func TestCarrierByCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, cable, _ := cabled(t, bare)
		i := h.Interface("eth0")
		require.NoError(t, h.SetCarrier("eth0", false))
		require.False(t, i.Carrier())
		require.Equal(t, syscall.EIO, i.Write(link.NewPacket(60)))
		require.EqualValues(t, 1, h.Drops().Count(link.DevReady))
		require.EqualValues(t, 1, i.Stats().TxDropped.Load())
		require.Zero(t, i.Stats().TxPackets.Load())

		cable.reports <- nil // goes
		synctest.Wait()
		require.False(t, i.Carrier())
		require.Equal(t, syscall.EIO, i.Write(link.NewPacket(60)))
		cable.reports <- nil // comes
		synctest.Wait()
		require.True(t, i.Carrier())
		require.NoError(t, i.Write(link.NewPacket(60)))

		cable.reports <- nil
		synctest.Wait()
		require.NoError(t, h.SetCarrier("eth0", true))
		require.True(t, i.Carrier(), "a command overrides both ways")
		require.ErrorIs(t, h.SetCarrier("eth1", true), syscall.ENODEV)
	})
}

// The link of a device that is gone is not that of the next of its name.
func TestCarrierOfRemovedInterface(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, last, _ := cabled(t, bare)
		last.late = true
		require.NoError(t, h.RemoveInterface("eth0"))
		next := newCable()
		i, err := h.AddInterface(stack.InterfaceConfig{Name: "eth0", Device: next})
		require.NoError(t, err)
		synctest.Wait()
		last.reports <- nil
		synctest.Wait()
		require.True(t, i.Carrier())
		next.reports <- nil
		synctest.Wait()
		require.False(t, i.Carrier())
		close(last.closed)
	})
}
