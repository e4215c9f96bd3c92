package linktest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

// recorder stands in for the testing.TB of a test that may fail.
type recorder struct {
	testing.TB
	failed   bool
	cleanups []func()
}

func (r *recorder) Helper()               {}
func (r *recorder) Errorf(string, ...any) { r.failed = true }
func (r *recorder) Cleanup(f func())      { r.cleanups = append(r.cleanups, f) }

func TestWantNoPackets(t *testing.T) {
	r := &recorder{}
	WantNoPackets(r)
	p := link.NewPacket(1)
	r.cleanups[0]()
	require.True(t, r.failed, "a packet is left")
	p.Release()
	r.failed = false
	r.cleanups[0]()
	require.False(t, r.failed)
}

func TestWantNoAllocs(t *testing.T) {
	r := &recorder{}
	WantNoAllocs(r, func() {})
	require.False(t, r.failed)
	WantNoAllocs(r, func() { sink = make([]byte, 100) })
	require.Equal(t, !Race(), r.failed, "under -race nothing is measured")
}

var sink []byte
