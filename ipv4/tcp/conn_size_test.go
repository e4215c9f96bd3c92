package tcp

import (
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func TestConnSize(t *testing.T) {
	// The allocator's size classes, 768 less a header of its own, and 128: one byte
	// more costs 128, or 32.
	require.LessOrEqual(t, unsafe.Sizeof(Conn{}), uintptr(760), "the order of the fields, or what need not be in it")
	require.LessOrEqual(t, unsafe.Sizeof(timeWait{}), uintptr(128))
}
