package arp

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/linktest"
	"github.com/tapstack/tapstack/neighbour"
)

// inBatch delivers a packet as one of a batch of frames.
func (b *bench) inBatch(i int, batch *link.Batch, a Packet) {
	p := link.NewPacket(Len)
	a.Put(p.Bytes())
	p.In, p.Type, p.EtherType, p.Batch = i, link.Broadcast, link.ARP, batch
	b.arp.Input(p, macFrame)
}

func TestAnswersOfABatchLeaveTogether(t *testing.T) {
	b := newBench(t)
	var batch link.Batch
	b.inBatch(1, &batch, request(macA, "10.0.0.9", "10.0.0.2"))
	b.inBatch(1, &batch, request(macB, "10.0.0.8", "10.0.0.2"))
	b.inBatch(2, &batch, request(macA, "10.0.1.9", "10.0.1.2"))
	b.wantSent("nothing before the end of the batch")
	require.Zero(t, b.arp.Stats.OutReplies.Load(), "not handed to a device yet")
	b.wantEntry("the asker is learnt at once", "10.0.0.9", "STALE A")

	require.True(t, batch.Flush())
	b.wantSent("all of them, in order, at its end",
		"eth1 us > A reply: 10.0.0.2 is-at us, 10.0.0.9 is-at A, 42 bytes",
		"eth1 us > B reply: 10.0.0.2 is-at us, 10.0.0.8 is-at B, 42 bytes",
		"eth2 us > A reply: 10.0.1.2 is-at us, 10.0.1.9 is-at A, 42 bytes")
	require.EqualValues(t, 3, b.arp.Stats.OutReplies.Load())
	require.False(t, batch.Flush(), "once")

	b.inBatch(1, &batch, request(macA, "10.0.0.9", "10.0.0.2"))
	b.wantSent("the next batch is another one")
	require.True(t, batch.Flush())
	b.wantSent("at its end", "eth1 us > A reply: 10.0.0.2 is-at us, 10.0.0.9 is-at A, 42 bytes")
}

func TestFilterSeesAnswersOfABatch(t *testing.T) {
	b := newBench(t)
	b.arp.SetFilter(func(d Direction, _ int, _ Packet) bool { return d == In })
	var batch link.Batch
	b.inBatch(1, &batch, request(macA, "10.0.0.9", "10.0.0.2"))
	require.False(t, batch.Flush(), "refused, not put off")
	b.wantSent("nothing")
}

// The proxy's timer fires when the batch that brought the request is long over.
func TestProxyDelayOutlastsTheBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.set("forwarding=1", "proxy_arp=1")
		var batch link.Batch
		b.inBatch(1, &batch, request(macA, "10.0.0.9", "10.0.1.77"))
		require.False(t, batch.Flush(), "nothing was put off to its end")
		pass(800 * time.Millisecond)
		synctest.Wait()
		b.wantSent("PROXY-5 when the delay is over", proxiedReply)
		require.False(t, batch.Flush())
	})
}

func TestAnsweringABatchDoesNotAllocate(t *testing.T) {
	b := newBench(t)
	b.arp.RemoveInterface(1)
	require.NoError(t, b.arp.AddInterface(InterfaceConfig{Index: 1, Addr: ourM, Link: swallow{}, Conf: b.conf.AddInterface(1)}))
	require.NoError(t, b.table.Update(1, ip("10.0.0.9"), neighbour.Update{
		LLAddr: macA, HasLLAddr: true, State: neighbour.Stale, Flags: neighbour.Create}))
	var batch link.Batch
	ask := request(macA, "10.0.0.9", "10.0.0.2")
	linktest.WantNoAllocs(t, func() {
		for range 8 {
			b.inBatch(1, &batch, ask)
		}
		batch.Flush()
	})
}

// swallow is a link that takes everything.
type swallow struct{}

func (swallow) Write(p *link.Packet) error {
	p.Release()
	return nil
}
