package tcp

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDemux(t *testing.T) {
	var d demux
	k := tuple{addr{10, 0, 0, 1}, addr{10, 0, 0, 2}, 80, 5000}
	a, b, w := endpoint{conn: new(Conn)}, endpoint{conn: new(Conn)}, endpoint{tw: new(timeWait)}
	require.Equal(t, endpoint{}, d.lookup(k))
	require.True(t, d.insert(k, a, nil))
	require.False(t, d.insert(k, b, nil), "taken")
	require.False(t, d.insert(k, b, w.tw), "by somebody else")
	require.False(t, d.replace(k, b, w))
	require.True(t, d.replace(k, a, w))
	require.Equal(t, w, d.lookup(k))
	require.True(t, d.insert(k, b, w.tw), "TIME-WAIT gives way")
	d.remove(k, a)
	require.Equal(t, b, d.lookup(k), "only who is there is removed")
	d.remove(k, b)
	require.Empty(t, d.all())
}

func TestDemuxListeners(t *testing.T) {
	var d demux
	any80 := &Listener{key: listenKey{addr{}, 80}}
	one81 := &Listener{key: listenKey{addr{10, 0, 0, 1}, 81}}
	two81 := &Listener{key: listenKey{addr{10, 0, 0, 2}, 81}}
	require.Nil(t, d.listener(addr{10, 0, 0, 1}, 80))
	require.False(t, d.portListens(80))
	require.True(t, d.listen(any80))
	require.True(t, d.listen(one81))
	require.True(t, d.listen(two81))
	require.False(t, d.listen(&Listener{key: listenKey{addr{10, 0, 0, 1}, 80}}), "one of all")
	require.False(t, d.listen(&Listener{key: listenKey{addr{}, 81}}), "all of one")
	require.False(t, d.listen(&Listener{key: one81.key}))
	require.Same(t, any80, d.listener(addr{10, 0, 0, 9}, 80))
	require.Same(t, two81, d.listener(addr{10, 0, 0, 2}, 81))
	require.Nil(t, d.listener(addr{10, 0, 0, 3}, 81))
	require.True(t, d.portListens(81))
	d.unlisten(one81)
	require.Nil(t, d.listener(addr{10, 0, 0, 1}, 81))
	require.Same(t, two81, d.listener(addr{10, 0, 0, 2}, 81))
}

// TestDemuxOneClaim has many claim the same tuple at once.
func TestDemuxOneClaim(t *testing.T) {
	var d demux
	var wg sync.WaitGroup
	wins := make(chan tuple, 1000)
	for range 8 {
		wg.Go(func() {
			for port := range uint16(100) {
				k := tuple{addr{1}, addr{2}, port, 80}
				if d.insert(k, endpoint{conn: new(Conn)}, nil) {
					wins <- k
				}
				d.lookup(k)
			}
		})
	}
	wg.Wait()
	require.Len(t, wins, 100)
}
