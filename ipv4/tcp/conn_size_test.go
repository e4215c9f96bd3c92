package tcp

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestConnSize(t *testing.T) {
	// The allocator's size classes: one byte more costs 128, or 32.
	require.LessOrEqual(t, unsafe.Sizeof(Conn{}), uintptr(768), "the order of the fields, or what need not be in it")
	require.LessOrEqual(t, unsafe.Sizeof(timeWait{}), uintptr(128))
}
