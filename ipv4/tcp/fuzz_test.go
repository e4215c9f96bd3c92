package tcp

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
)

// FuzzInput throws segments at a connection that is alive: eight bytes each say
// what to change about a good one. Nothing may panic, leak, or take more memory
// than the limits.
func FuzzInput(f *testing.F) {
	f.Add([]byte{16, 0, 0, 0, 0, 0, 5, 0})
	f.Add([]byte{17, 0, 0, 0, 0, 0, 0, 0, 16, 0, 1, 0, 0, 0, 0, 1})
	f.Add([]byte{4, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0, 0, 18, 0, 9, 0, 9, 0, 200, 3})
	f.Add([]byte{16, 0, 100, 0, 0, 0, 255, 0, 16, 0, 50, 0, 0, 0, 100, 0, 16, 0, 0, 0, 0, 0, 60, 0})
	f.Fuzz(fuzzInput)
}

func fuzzInput(t *testing.T, b []byte) {
	if len(b) > 8*64 {
		return
	}
	synctest.Test(t, func(t *testing.T) {
		tc := newTestConn(t, Config{})
		defer func() {
			tc.pr.Close()
			require.Zero(t, link.LivePackets())
		}()
		sc := SocketConfig{NoTimestamps: true, ReceiveBuffer: 16 << 10}
		if len(b)%4 >= 2 {
			tc.passive(sc)
		} else {
			tc.active(sc)
		}
		tc.write(bytesOf('a', 5000))
		if len(b)%2 == 1 {
			tc.conn.CloseWrite()
		}
		for ; len(b) >= 8; b = b[8:] {
			s := seg{flags: Flags(b[0]), seq: 1 + int(int8(b[1]))<<8 + int(b[2]), ack: 1 + int(int8(b[3]))<<8 + int(b[4]),
				win: int(b[5]) << 6, data: bytesOf('x', int(b[6])*4)}
			if b[7]&1 != 0 {
				time.Sleep(time.Duration(b[7]) * time.Millisecond)
			}
			if b[7]&2 != 0 {
				s.ts = uint32(b[7])
			}
			tc.deliver(s)
			if b[7]&4 != 0 && tc.conn.Info().RecvQ > 0 {
				tc.conn.Read(make([]byte, 100))
			}
		}
		i := tc.conn.Info()
		require.LessOrEqual(t, i.RecvQ, 16<<10)
		require.GreaterOrEqual(t, i.Unacked, 0)
		require.GreaterOrEqual(t, i.Lost, 0)
		require.GreaterOrEqual(t, i.SndCwnd, i.SndMSS)
		require.LessOrEqual(t, i.Lost, i.Unacked)
		lost := 0
		for k := range tc.conn.snd.sent.len() {
			if x := tc.conn.snd.sent.at(k); x.lost {
				lost += x.len()
			}
		}
		require.Equal(t, lost, i.Lost)
	})
}
