package tcp

import (
	"bytes"
	"io"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestDeadlines(t *testing.T) {
	bubble(t, "read", Config{}, func(tc *testConn) {
		tc.active(plain)
		start := time.Now()
		require.NoError(tc.t, tc.conn.SetReadDeadline(start.Add(time.Second)))
		_, err := tc.conn.Read(make([]byte, 1))
		require.ErrorIs(tc.t, err, os.ErrDeadlineExceeded)
		ne, ok := err.(net.Error)
		require.True(tc.t, ok && ne.Timeout())
		require.Equal(tc.t, time.Second, time.Since(start))
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, data: "x"})
		_, err = tc.conn.Read(make([]byte, 1))
		require.ErrorIs(tc.t, err, os.ErrDeadlineExceeded, "also with data, as in package net")
		require.NoError(tc.t, tc.conn.SetReadDeadline(time.Time{}))
		_, err = tc.conn.Read(make([]byte, 1))
		require.NoError(tc.t, err)
	})
	bubble(t, "moved while somebody waits", Config{}, func(tc *testConn) {
		tc.active(plain)
		done := make(chan time.Duration)
		start := time.Now()
		require.NoError(tc.t, tc.conn.SetReadDeadline(start.Add(time.Second)))
		go func() {
			tc.conn.Read(make([]byte, 1))
			done <- time.Since(start)
		}()
		tc.advance(time.Second / 2)
		require.NoError(tc.t, tc.conn.SetReadDeadline(start.Add(3*time.Second)))
		require.Equal(tc.t, 3*time.Second, <-done)
		go func() {
			require.NoError(tc.t, tc.conn.SetReadDeadline(start.Add(time.Hour)))
			tc.conn.Read(make([]byte, 1))
			done <- time.Since(start)
		}()
		tc.advance(time.Second)
		require.NoError(tc.t, tc.conn.SetReadDeadline(time.Now().Add(-1)))
		require.Equal(tc.t, 4*time.Second, <-done, "a past deadline ends it at once")
	})
	bubble(t, "write", Config{}, func(tc *testConn) {
		tc.active(SocketConfig{NoTimestamps: true, SendBuffer: 4096})
		require.NoError(tc.t, tc.conn.SetWriteDeadline(time.Now().Add(time.Second)))
		n, err := tc.conn.Write(make([]byte, 10000))
		require.ErrorIs(tc.t, err, os.ErrDeadlineExceeded)
		require.Equal(tc.t, 4096, n)
	})
	bubble(t, "close ends calls that wait", Config{}, func(tc *testConn) {
		tc.active(SocketConfig{NoTimestamps: true, SendBuffer: 4096})
		errs := make(chan error, 3)
		go func() {
			_, err := tc.conn.Read(make([]byte, 1))
			errs <- err
		}()
		for range 2 {
			go func() {
				_, err := tc.conn.Write(make([]byte, 10000))
				errs <- err
			}()
		}
		synctest.Wait()
		require.NoError(tc.t, tc.conn.SetDeadline(time.Now().Add(time.Hour)))
		require.NoError(tc.t, tc.conn.Close())
		for range 3 {
			require.ErrorIs(tc.t, <-errs, net.ErrClosed)
		}
	})
	bubble(t, "past at once, whatever waits to be read", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, data: "x"})
		for _, past := range []time.Time{time.Unix(1, 0), time.Now(), time.Now().Add(-time.Hour)} {
			require.NoError(tc.t, tc.conn.SetDeadline(past))
			_, err := tc.conn.Read(make([]byte, 1))
			require.ErrorIs(tc.t, err, os.ErrDeadlineExceeded)
			_, err = tc.conn.Write([]byte("y"))
			require.ErrorIs(tc.t, err, os.ErrDeadlineExceeded)
			require.NoError(tc.t, tc.conn.SetDeadline(time.Time{}))
		}
		_, err := tc.conn.Read(make([]byte, 1))
		require.NoError(tc.t, err)
	})
	bubble(t, "of the wall clock", Config{}, func(tc *testConn) {
		tc.active(plain)
		start := time.Now()
		require.NoError(tc.t, tc.conn.SetReadDeadline(start.Add(time.Minute).Round(0)))
		_, err := tc.conn.Read(make([]byte, 1))
		require.ErrorIs(tc.t, err, os.ErrDeadlineExceeded)
		require.Equal(tc.t, time.Minute, time.Since(start))
	})
	bubble(t, "cleared while somebody waits", Config{}, func(tc *testConn) {
		tc.active(plain)
		require.NoError(tc.t, tc.conn.SetReadDeadline(time.Now().Add(time.Second)))
		got := make(chan error)
		go func() {
			_, err := tc.conn.Read(make([]byte, 1))
			got <- err
		}()
		tc.advance(time.Second / 2)
		require.NoError(tc.t, tc.conn.SetReadDeadline(time.Time{}))
		tc.advance(time.Hour)
		select {
		case err := <-got:
			tc.t.Fatal("Read ended:", err)
		default:
		}
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1, data: "x"})
		require.NoError(tc.t, <-got)
	})
	bubble(t, "a reader and a writer, each with its own", Config{}, func(tc *testConn) {
		tc.active(SocketConfig{NoTimestamps: true, SendBuffer: 4096})
		start := time.Now()
		require.NoError(tc.t, tc.conn.SetReadDeadline(start.Add(2*time.Second)))
		require.NoError(tc.t, tc.conn.SetWriteDeadline(start.Add(time.Second)))
		read, written := make(chan time.Duration, 1), make(chan time.Duration, 1)
		go func() {
			tc.conn.Read(make([]byte, 1))
			read <- time.Since(start)
		}()
		go func() {
			tc.conn.Write(make([]byte, 10000))
			written <- time.Since(start)
		}()
		require.Equal(tc.t, time.Second, <-written)
		require.Equal(tc.t, 2*time.Second, <-read)
	})
	bubble(t, "calls that do not wait arm nothing", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.advance(time.Minute) // the handshake's timer
		for i := range 10 {
			require.NoError(tc.t, tc.conn.SetDeadline(time.Now().Add(time.Duration(i+1)*time.Hour)))
			tc.deliver(seg{flags: ACK, seq: 1 + i, ack: 1, data: "x"})
			_, err := tc.conn.Read(make([]byte, 1))
			require.NoError(tc.t, err)
		}
		tc.advance(time.Minute) // delayed acknowledgements
		require.Zero(tc.t, tc.conn.armedAt)
		require.Nil(tc.t, tc.conn.timer)
	})
	bubble(t, "the next call's deadline leaves the timer alone", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.advance(time.Minute)
		start := time.Now()
		var armed moment
		for i := range 10 {
			require.NoError(tc.t, tc.conn.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
			go tc.conn.Read(make([]byte, 1))
			synctest.Wait()
			if i == 0 {
				armed = tc.conn.armedAt
			}
			require.Equal(tc.t, armed, tc.conn.armedAt)
			tc.deliver(seg{flags: ACK, seq: 1 + i, ack: 1, data: "x"})
			synctest.Wait()
		}
		_, err := tc.conn.Read(make([]byte, 1))
		require.ErrorIs(tc.t, err, os.ErrDeadlineExceeded)
		require.Equal(tc.t, 10*time.Millisecond, time.Since(start))
	})
}

func TestIO(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newTestPair(t, faults{delay: time.Millisecond}, 1, Config{})
		defer p.close(t)
		client, server := p.connect(t, SocketConfig{})
		// Each Write is contiguous, whoever else writes.
		go func() {
			done := make(chan struct{})
			for i := range 4 {
				go func() {
					client.Write(bytes.Repeat([]byte{byte('a' + i)}, 5<<20))
					done <- struct{}{}
				}()
			}
			for range 4 {
				<-done
			}
			client.CloseWrite()
		}()
		all, err := io.ReadAll(server)
		require.NoError(t, err)
		require.Len(t, all, 20<<20)
		changes := 0
		for i := 1; i < len(all); i++ {
			if all[i] != all[i-1] {
				changes++
			}
		}
		require.Equal(t, 3, changes)
		// ReadFrom and WriteTo report the errors of the other side.
		_, err = server.ReadFrom(readerFunc(func([]byte) (int, error) { return 0, os.ErrInvalid }))
		require.ErrorIs(t, err, os.ErrInvalid)
		_, err = server.Write([]byte("x"))
		require.NoError(t, err)
		r, w := io.Pipe()
		r.CloseWithError(os.ErrInvalid)
		_, err = client.WriteTo(w)
		require.ErrorIs(t, err, os.ErrInvalid)
		client.Close()
		server.Close()
	})
}
