package stack_test

import (
	"context"
	"crypto/sha256"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4/tcp"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/fault"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/stack/random"
)

// A stream each way between the kernel's TCP and ours over a bad line, by hash.
func TestKernelLossRecovery(t *testing.T) {
	size := int64(16 << 20)
	if linktest.Race() {
		size = 4 << 20
	}
	for _, c := range []struct {
		name   string
		faults fault.Faults
		sc     tcp.SocketConfig
	}{
		{"loss", fault.Faults{Loss: 0.01, Delay: time.Millisecond}, tcp.SocketConfig{}},
		{"loss, no SACK", fault.Faults{Loss: 0.01, Delay: time.Millisecond}, tcp.SocketConfig{NoSACK: true}},
		{"loss, no timestamps", fault.Faults{Loss: 0.01, Delay: time.Millisecond}, tcp.SocketConfig{NoTimestamps: true}},
		{"reordering and duplicates", fault.Faults{Reorder: 0.01, ReorderDelay: 2 * time.Millisecond, Duplicate: 0.01, Delay: time.Millisecond}, tcp.SocketConfig{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, ns := onTAP(t, func(d link.Device) link.Device {
				return fault.New(d, fault.Config{Rand: random.New(7), In: c.faults, Out: c.faults})
			})
			var l net.Listener
			var err error
			ns.Do(func() { l, err = net.Listen("tcp4", "10.0.0.1:9000") })
			require.NoError(t, err)
			defer l.Close()
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			ours, err := h.TCP().Dial(ctx, netip.AddrPort{}, netip.MustParseAddrPort("10.0.0.1:9000"), c.sc)
			require.NoError(t, err)
			defer ours.Close()
			theirs, err := l.Accept()
			require.NoError(t, err)
			defer theirs.Close()
			for _, way := range []struct {
				name     string
				from, to interface {
					net.Conn
					CloseWrite() error
				}
			}{{"to the kernel", ours, theirs.(*net.TCPConn)}, {"from the kernel", theirs.(*net.TCPConn), ours}} {
				deadline := time.Now().Add(60 * time.Second)
				require.NoError(t, way.from.SetDeadline(deadline))
				require.NoError(t, way.to.SetDeadline(deadline))
				start := time.Now()
				want, got := sha256.New(), sha256.New()
				sent := make(chan error, 1)
				go func() {
					_, err := io.CopyN(way.from, io.TeeReader(rand.NewChaCha8([32]byte{1}), want), size)
					if err == nil {
						err = way.from.CloseWrite()
					}
					sent <- err
				}()
				n, err := io.Copy(got, way.to)
				require.NoError(t, err)
				require.NoError(t, <-sent)
				require.Equal(t, size, n)
				require.Equal(t, want.Sum(nil), got.Sum(nil))
				t.Logf("%s: %.0f Mbit/s; %d retransmissions, %d timeouts, %d recoveries", way.name, float64(8*size)/1e6/time.Since(start).Seconds(),
					h.TCP().Stats()["TcpRetransSegs"], h.TCP().Stats()["TcpExtTCPTimeouts"], h.TCP().Stats()["TcpExtTCPSackRecovery"])
			}
		})
	}
}
