package tap

import (
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// about is the front of a message about an interface.
func about(typ uint16, family byte, index int, flags uint32) []byte {
	b := message(typ, 0, ifInfo(index, flags, 0))
	b[unix.SizeofNlMsghdr] = family
	binary.NativeEndian.PutUint32(b, uint32(len(b)))
	return b
}

func answer(errno unix.Errno) []byte {
	return message(unix.NLMSG_ERROR, 0, binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno))))
}

func TestParseLink(t *testing.T) {
	const up = unix.IFF_UP | unix.IFF_BROADCAST
	for _, c := range []struct {
		name string
		in   []byte
		want linkState
	}{
		{"up", about(unix.RTM_NEWLINK, unix.AF_UNSPEC, 3, up|unix.IFF_RUNNING|unix.IFF_LOWER_UP), linkUp},
		{"up without the lower state, which is about us", about(unix.RTM_NEWLINK, unix.AF_UNSPEC, 3, up), linkUp},
		{"down", about(unix.RTM_NEWLINK, unix.AF_UNSPEC, 3, unix.IFF_BROADCAST), linkDown},
		{"removed", about(unix.RTM_DELLINK, unix.AF_UNSPEC, 3, 0), linkGone},
		{"removed while up", about(unix.RTM_DELLINK, unix.AF_UNSPEC, 3, up), linkGone},
		{"another one", about(unix.RTM_NEWLINK, unix.AF_UNSPEC, 4, 0), linkUnknown},
		{"another one removed", about(unix.RTM_DELLINK, unix.AF_UNSPEC, 4, 0), linkUnknown},
		{"joins a bridge", about(unix.RTM_NEWLINK, unix.AF_BRIDGE, 3, 0), linkUnknown},
		{"leaves a bridge", about(unix.RTM_DELLINK, unix.AF_BRIDGE, 3, up), linkUnknown},
		{"another message", about(unix.RTM_NEWADDR, unix.AF_UNSPEC, 3, 0), linkUnknown},
		{"acknowledgement", answer(0), linkUnknown},
		{"there is none", answer(unix.ENODEV), linkGone},
		{"empty", nil, linkUnknown},
		{"cut off in the header", about(unix.RTM_DELLINK, unix.AF_UNSPEC, 3, 0)[:15], linkUnknown},
		{"cut off behind the header", about(unix.RTM_DELLINK, unix.AF_UNSPEC, 3, 0)[:31], linkUnknown},
		{"cut off behind what counts", append(about(unix.RTM_NEWLINK, unix.AF_UNSPEC, 3, up), 200, 0, 1), linkUp},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := parseLink(c.in, 3)
			require.NoError(t, err)
			require.Equal(t, c.want, s)
		})
	}
	_, err := parseLink(answer(unix.EPERM), 3)
	require.ErrorIs(t, err, unix.EPERM)
}

func FuzzParseLink(f *testing.F) {
	f.Add(about(unix.RTM_NEWLINK, unix.AF_UNSPEC, 3, unix.IFF_UP))
	f.Add(about(unix.RTM_DELLINK, unix.AF_BRIDGE, 3, 0))
	f.Add(answer(unix.ENODEV))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := parseLink(b, 3)
		require.LessOrEqual(t, s, linkGone)
		if err != nil {
			require.Equal(t, linkUnknown, s)
		}
	})
}
