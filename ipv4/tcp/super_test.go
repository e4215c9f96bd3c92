package tcp

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
)

// deliverSuper lets s arrive as a super-segment of segments of mss, most of it in
// a body.
func (tc *testConn) deliverSuper(s seg, mss int, batch *link.Batch) {
	tc.t.Helper()
	h, p := tc.packet(s)
	own := p.Len() - len(s.data) + min(len(s.data), 100)
	rest := link.NewChunk(p.Len() - own)
	b := rest.Bytes()[:copy(rest.Bytes(), p.Bytes()[own:])]
	p.Trim(own)
	p.Append(rest, b)
	if mss > 0 {
		p.GSO, p.GSOSize = link.GSOTCP, mss
	}
	p.Batch = batch
	tc.ip.handler.Input(h, p)
	synctest.Wait()
}

func TestSuperSegments(t *testing.T) {
	data := strings.Repeat("0123456789", 3000)
	bubble(t, "received whole, one ACK", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.deliverSuper(seg{flags: ACK, seq: 1, ack: 1, data: data}, 1460, nil)
		tc.want("at once", seg{flags: ACK, seq: 1, ack: 1 + len(data)})
		tc.wantIdle("once")
		require.Equal(tc.t, 1460, tc.conn.Info().RcvMSS, "not the size of all of them")
		tc.read(data)
	})
	bubble(t, "read in parts", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.deliverSuper(seg{flags: ACK, seq: 1, ack: 1, data: data}, 1460, nil)
		for got := ""; got != data; {
			b := make([]byte, 777)
			n, err := tc.conn.Read(b)
			require.NoError(tc.t, err)
			got += string(b[:n])
			require.True(tc.t, strings.HasPrefix(data, got))
		}
	})
	bubble(t, "verified unless somebody vouches", Config{}, func(tc *testConn) {
		tc.active(plain)
		h, p := tc.packet(seg{flags: ACK, seq: 1, ack: 1, data: "x"})
		p.Bytes()[16] ^= 1
		q := p.Copy()
		q.Checksum = link.ChecksumValid
		tc.ip.handler.Input(h, p)
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpInCsumErrors"])
		tc.ip.handler.Input(h, q)
		require.EqualValues(tc.t, 1, tc.pr.Stats()["TcpInCsumErrors"])
		tc.read("x")
	})
	bubble(t, "out of order and overlapping", Config{}, func(tc *testConn) {
		tc.active(plain)
		tc.deliverSuper(seg{flags: ACK, seq: 10001, ack: 1, data: data[10000:]}, 1460, nil)
		tc.want("a gap", seg{flags: ACK, seq: 1, ack: 1})
		tc.deliverSuper(seg{flags: ACK, seq: 1, ack: 1, data: data[:12345]}, 1460, nil)
		tc.want("all of it", seg{flags: ACK, seq: 1, ack: 1 + len(data)})
		tc.deliverSuper(seg{flags: ACK, seq: 20001, ack: 1, data: data[20000:] + "end"}, 1460, nil)
		tc.read(data + "end")
	})
	bubble(t, "one ACK for a batch", Config{}, func(tc *testConn) {
		tc.active(plain)
		var batch link.Batch
		for at := 0; at < len(data); at += 10000 {
			tc.deliverSuper(seg{flags: ACK, seq: 1 + at, ack: 1, data: data[at : at+10000]}, 1460, &batch)
		}
		tc.wantIdle("put off")
		require.True(tc.t, batch.Flush())
		tc.want("all at once", seg{flags: ACK, seq: 1, ack: 1 + len(data)})
		tc.wantIdle("once")
		tc.read(data)
	})
	bubble(t, "a batch wakes the reader", Config{}, func(tc *testConn) {
		tc.active(plain)
		got := make(chan string, 1)
		go func() {
			b := make([]byte, 100)
			n, _ := tc.conn.Read(b)
			got <- string(b[:n])
		}()
		var batch link.Batch
		tc.deliverSuper(seg{flags: ACK, seq: 1, ack: 1, data: "hello"}, 0, &batch)
		batch.Flush()
		require.Equal(tc.t, "hello", <-got)
	})
	bubble(t, "a batch does not hold back what cannot wait", Config{}, func(tc *testConn) {
		tc.active(plain)
		var batch link.Batch
		tc.deliverSuper(seg{flags: ACK, seq: 101, ack: 1, data: data[100:5000]}, 1460, &batch)
		tc.want("duplicate ACK", seg{flags: ACK, seq: 1, ack: 1})
		tc.deliverSuper(seg{flags: ACK, seq: 1, ack: 1, data: data[:100]}, 0, &batch)
		tc.want("the gap is filled", seg{flags: ACK, seq: 1, ack: 5001})
		batch.Flush()
		tc.wantIdle("nothing left")
	})
	bubble(t, "a batch outlives its connection", Config{}, func(tc *testConn) {
		tc.active(plain)
		var batch link.Batch
		tc.deliverSuper(seg{flags: ACK, seq: 1, ack: 1, data: "x"}, 0, &batch)
		tc.deliverSuper(seg{flags: RST, seq: 2}, 0, &batch)
		tc.wantState(Closed)
		batch.Flush()
		tc.wantIdle("nobody is there")
		tc.read("x")
	})
	bubble(t, "sent whole", Config{}, func(tc *testConn) {
		tc.active(plain)
		var whole int
		single := testIP{output: tc.output}
		tc.ip.whole = true
		tc.ip.output = func(p *link.Packet, s ipv4.Send) error {
			if p.GSO == link.GSOTCP && p.GSOSize == 1000 && p.HasBody() {
				whole++
			}
			return single.Output(p, s)
		}
		tc.write(data[:4500])
		for at := 0; at < 4500; at += 1000 {
			tc.want("a segment", seg{flags: ACK, seq: 1 + at, ack: 1, data: data[at:min(at+1000, 4500)]})
		}
		tc.wantIdle("all")
		require.Equal(tc.t, 1, whole)
		// One of them is lost.
		for range 3 {
			tc.deliver(seg{flags: ACK, seq: 1, ack: 1001, win: 60000})
		}
		tc.deliver(seg{flags: ACK, seq: 1, ack: 1001, win: 60000})
		tc.want("one segment again, not all", seg{flags: ACK, seq: 1001, ack: 1, data: data[1000:2000]})
		tc.wantIdle("no more")
		tc.deliver(seg{flags: ACK, seq: 1, ack: 4501, win: 60000})
		require.Equal(tc.t, "open", tc.conn.Info().CAState)
		require.Zero(tc.t, tc.conn.Info().Unacked)
	})
}
