package pcap

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gopacket/gopacket/pcapgo"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/stack/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ link.Device = (*Device)(nil)

// echo is a device that reads what it writes.
type echo struct{ *link.Ring }

func newEcho() echo                { return echo{link.NewRing(10_000)} }
func (e echo) Addr() link.Addr     { return link.Addr{2, 0, 0, 0, 0, 1} }
func (e echo) MTU() int            { return 1400 }
func (e echo) Close() error        { e.Ring.Close(); return nil }
func text(s string) *link.Packet   { return link.NewPacketFrom([]byte(s)) }
func pass(d link.Device, s string) { _ = d.Write(text(s)); p, _ := d.Read(); p.Release() }

type frame struct {
	text     string
	length   int
	at       time.Time
	sent     bool
	comments []string
}

// parse reads a file back.
func parse(t *testing.T, file []byte) (name string, frames []frame) {
	t.Helper()
	r, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	require.NoError(t, err)
	for {
		data, ci, opts, err := r.ReadPacketDataWithOptions()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		frames = append(frames, frame{string(data), ci.Length, ci.Timestamp.UTC(),
			opts.Flags.Direction == pcapgo.NgEpbFlagDirectionOutbound, opts.Comments})
	}
	i, err := r.Interface(0)
	require.NoError(t, err)
	return i.Name, frames
}

func TestRecords(t *testing.T) {
	linktest.WantNoPackets(t)
	var file bytes.Buffer
	v := clock.NewVirtual(time.Date(2024, 2, 29, 12, 0, 0, 123456789, time.UTC))
	d, err := New(newEcho(), &file, Config{
		Name:  "t0",
		Clock: clock.New(v),
		Comment: func(p *link.Packet, dir Direction) string {
			if dir == Sent {
				return "NONE -> INCOMPLETE"
			}
			return ""
		},
	})
	require.NoError(t, err)
	require.Equal(t, link.Addr{2, 0, 0, 0, 0, 1}, d.Addr())
	require.Equal(t, 1400, d.MTU())
	begin := v.Now()
	require.NoError(t, d.Write(text("hello")))
	v.Advance(time.Second)
	p, err := d.Read()
	require.NoError(t, err)
	require.Equal(t, "hello", string(p.Bytes()))
	p.Release()
	require.NoError(t, d.Close())

	name, frames := parse(t, file.Bytes())
	require.Equal(t, "t0", name)
	require.Equal(t, []frame{
		{"hello", 5, begin, true, []string{"NONE -> INCOMPLETE"}},
		{"hello", 5, begin.Add(time.Second), false, nil},
	}, frames)
	require.Zero(t, d.Missed())
}

func TestSnapLen(t *testing.T) {
	linktest.WantNoPackets(t)
	var file bytes.Buffer
	d, err := New(newEcho(), &file, Config{SnapLen: 3})
	require.NoError(t, err)
	pass(d, "hello")
	pass(d, "no")
	require.NoError(t, d.Close())
	_, frames := parse(t, file.Bytes())
	require.Len(t, frames, 4)
	require.Equal(t, "hel", frames[0].text)
	require.Equal(t, 5, frames[0].length)
	require.Equal(t, "no", frames[2].text)
}

// gate is a writer that waits for a token before each write.
type gate struct {
	tokens chan struct{}
	bytes.Buffer
}

func (g *gate) Write(b []byte) (int, error) {
	<-g.tokens
	return g.Buffer.Write(b)
}

func TestSlowWriterNeverBlocks(t *testing.T) {
	linktest.WantNoPackets(t)
	synctest.Test(t, func(t *testing.T) {
		g := &gate{tokens: make(chan struct{}, 1)}
		g.tokens <- struct{}{} // for the header
		d, err := New(newEcho(), g, Config{Queue: 4})
		require.NoError(t, err)
		pass(d, "first")
		synctest.Wait() // the writer is stuck in its first flush
		for range 50 {
			pass(d, "x")
		}
		require.Greater(t, d.Missed(), uint64(90))
		missed := d.Missed()
		close(g.tokens)
		require.NoError(t, d.Close())
		_, frames := parse(t, g.Bytes())
		require.EqualValues(t, 2*51, missed+uint64(len(frames)), "each frame is recorded or counted")
	})
}

// failing is a writer that fails after n writes.
type failing struct{ n int }

var errDisk = errors.New("disk full")

func (f *failing) Write(b []byte) (int, error) {
	if f.n--; f.n < 0 {
		return 0, errDisk
	}
	return len(b), nil
}

func TestFailingWriterNeverBreaksTraffic(t *testing.T) {
	linktest.WantNoPackets(t)
	d, err := New(newEcho(), &failing{n: 1}, Config{})
	require.NoError(t, err)
	for range 100 {
		require.NoError(t, d.Write(text("x")))
		p, err := d.Read()
		require.NoError(t, err)
		p.Release()
	}
	require.ErrorIs(t, d.Close(), errDisk, "Close tells")
	require.EqualValues(t, 200, d.Missed())
}

func TestFailingHeader(t *testing.T) {
	_, err := New(newEcho(), &failing{}, Config{})
	require.ErrorIs(t, err, errDisk)
}

func TestClose(t *testing.T) {
	linktest.WantNoPackets(t)
	synctest.Test(t, func(t *testing.T) {
		d, err := New(newEcho(), io.Discard, Config{})
		require.NoError(t, err)
		read := make(chan error)
		go func() {
			_, err := d.Read()
			read <- err
		}()
		synctest.Wait()
		require.NoError(t, d.Close())
		require.ErrorIs(t, <-read, net.ErrClosed)
		require.NoError(t, d.Close(), "twice is once")
		require.ErrorIs(t, d.Write(text("x")), net.ErrClosed)
		require.EqualValues(t, 1, d.Missed())
	})
}

func TestFlushesWhenIdle(t *testing.T) {
	linktest.WantNoPackets(t)
	synctest.Test(t, func(t *testing.T) {
		var file bytes.Buffer
		d, err := New(newEcho(), &file, Config{})
		require.NoError(t, err)
		defer d.Close()
		pass(d, "live")
		synctest.Wait()
		_, frames := parse(t, bytes.Clone(file.Bytes()))
		require.Len(t, frames, 2, "readable while the capture runs")
	})
}

func BenchmarkRecord(b *testing.B) {
	d, err := New(newEcho(), io.Discard, Config{})
	require.NoError(b, err)
	defer d.Close()
	b.ReportAllocs()
	for b.Loop() {
		_ = d.Write(link.NewPacket(1514))
		p, _ := d.Read()
		p.Release()
	}
}
