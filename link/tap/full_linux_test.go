package tap

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
)

// TestWriteNeverWaits writes to a socket that nobody reads, as a TAP cannot be
// made to answer EAGAIN at will.
func TestWriteNeverWaits(t *testing.T) {
	linktest.WantNoPackets(t)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(fds[1])
	file := os.NewFile(uintptr(fds[0]), "socket")
	defer file.Close()
	d := &Device{file: file, name: "t0"}
	d.writes.New = func() any { return newWrite() }
	d.raw, err = file.SyscallConn()
	require.NoError(t, err)

	err = nil
	for range 100_000 {
		if err = d.Write(link.NewPacket(1514)); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, link.ErrQueueFull)
}
