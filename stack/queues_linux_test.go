package stack_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"net/netip"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/tap"
	"github.com/tapstack/tapstack/link/tap/taptest"
	"github.com/tapstack/tapstack/stack"
)

// Connections over several queues at once, both ways: each byte as it was sent.
func TestKernelQueues(t *testing.T) {
	for _, c := range []struct {
		name    string
		offload tap.Offload
	}{{"offloads", tap.OffloadAuto}, {"plain frames", tap.OffloadOff}} {
		t.Run(c.name, func(t *testing.T) {
			ns := taptest.Namespace(t)
			d, err := tap.Open(tap.Config{Name: "t0", Peer: netip.MustParsePrefix("10.0.0.1/24"), Offload: c.offload, Queues: 3})
			require.NoError(t, err)
			h, err := stack.New(stack.Config{})
			require.NoError(t, err)
			t.Cleanup(func() {
				require.NoError(t, h.Close())
				require.Zero(t, link.LivePackets())
			})
			i, err := h.AddInterface(stack.InterfaceConfig{Name: "t0", Device: d, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.2/24")}})
			require.NoError(t, err)
			require.Equal(t, 3, i.Queues())
			l, err := h.Listen("tcp", ":7")
			require.NoError(t, err)
			defer l.Close()
			go func() {
				for {
					in, err := l.Accept()
					if err != nil {
						return
					}
					go func() {
						io.Copy(in, in)
						in.Close()
					}()
				}
			}()
			var wg sync.WaitGroup
			errs := make(chan error, 12)
			for range cap(errs) {
				wg.Go(func() {
					errs <- func() error {
						out, err := kernelDial(ns)(context.Background(), "tcp", "10.0.0.2:7")
						if err != nil {
							return err
						}
						defer out.Close()
						sent, got := sha256.New(), sha256.New()
						go func() {
							p := pattern(1 << 20)
							io.Copy(out, io.TeeReader(&p, sent))
							out.(interface{ CloseWrite() error }).CloseWrite()
						}()
						if n, err := io.Copy(got, out); err != nil || n != 1<<20 {
							return errors.Join(err, io.ErrUnexpectedEOF)
						}
						if !bytes.Equal(sent.Sum(nil), got.Sum(nil)) {
							return errors.New("not the same bytes")
						}
						return nil
					}()
				})
			}
			wg.Wait()
			for range cap(errs) {
				require.NoError(t, <-errs)
			}
		})
	}
}
