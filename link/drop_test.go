package link

import (
	"regexp"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDropReasonNames(t *testing.T) {
	seen, spelling := map[string]DropReason{}, regexp.MustCompile(`^[A-Z][A-Z0-9_]+$`)
	for r := range numDropReasons {
		require.Regexp(t, spelling, r.String(), "reason %d", r)
		require.NotContains(t, seen, r.String())
		seen[r.String()] = r
	}
	require.Equal(t, "DROP_255", DropReason(255).String())
}

func TestDrops(t *testing.T) {
	wantNoPackets(t)
	var d Drops
	require.Empty(t, d.Counts())
	d.Drop(NewPacket(1), NeighFailed)
	d.Drop(NewPacket(1), NeighFailed)
	d.Drop(NewPacket(1), NoSocket)
	require.EqualValues(t, 2, d.Count(NeighFailed))
	require.Equal(t, map[string]uint64{"NEIGH_FAILED": 2, "NO_SOCKET": 1}, d.Counts())
}

func TestDropsWatch(t *testing.T) {
	wantNoPackets(t)
	var (
		d   Drops
		got []string
	)
	d.Watch(func(p *Packet, r DropReason) { got = append(got, r.String()+" "+string(p.Bytes())) })
	d.Drop(NewPacketFrom([]byte("a")), IPCsum)
	d.Watch(nil)
	d.Drop(NewPacketFrom([]byte("b")), IPCsum)
	require.Equal(t, []string{"IP_CSUM a"}, got)
}

func TestDropsConcurrent(t *testing.T) {
	wantNoPackets(t)
	var (
		d  Drops
		wg sync.WaitGroup
	)
	for range 4 {
		wg.Go(func() {
			for range 100 {
				d.Drop(NewPacket(1), TCPCsum)
				d.Watch(func(*Packet, DropReason) {})
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 400, d.Count(TCPCsum))
}
