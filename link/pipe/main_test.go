package pipe

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/tapstack/tapstack/link"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// frame returns an Ethernet frame that carries text.
func frame(dst, src link.Addr, text string) *link.Packet {
	p := link.NewPacketFrom([]byte(text))
	link.Ethernet{Dst: dst, Src: src, Type: link.IPv4}.Put(p.Push(link.EthernetHeaderLen))
	return p
}

// drain returns the texts of the frames that d has queued.
func drain(t *testing.T, d *Device) []string {
	t.Helper()
	// A mark of our own ends what is queued.
	const mark = "\x00mark"
	if err := d.rx.Write(link.NewPacketFrom([]byte(mark))); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for {
		p, err := d.Read()
		if err != nil {
			t.Fatal(err)
		}
		b := string(p.Bytes())
		p.Release()
		if b == mark {
			return texts
		}
		texts = append(texts, b[min(len(b), link.EthernetHeaderLen):])
	}
}
