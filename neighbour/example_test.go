package neighbour_test

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack/clock"
	"github.com/tapstack/tapstack/stack/random"
)

// printer is a link that prints where frames go.
type printer struct{}

func (printer) Write(p *link.Packet) error {
	h, _, err := link.ParseEthernet(p.Bytes())
	fmt.Println("frame to", h.Dst)
	p.Release()
	return err
}

// A packet waits for its neighbour, is sent when an answer comes, and the mapping
// is verified when it has grown old.
func Example() {
	passing := clock.NewVirtual(time.Unix(0, 0))
	table := neighbour.New(neighbour.Config{
		Clock: clock.New(passing),
		Rand:  random.New(1),
		Solicit: func(s neighbour.Solicitation) {
			fmt.Println("who has", s.Target, "unicast:", s.Unicast)
		},
	})
	defer table.Close()
	changes := table.Subscribe(100)
	eth0, err := table.AddInterface(neighbour.InterfaceConfig{Index: 1, Name: "eth0", Link: printer{}})
	if err != nil {
		fmt.Println(err)
		return
	}

	gateway := netip.MustParseAddr("192.0.2.1")
	send := func() {
		p := link.NewPacket(28)
		p.EtherType = link.IPv4
		if err := eth0.Output(gateway, p); err != nil {
			fmt.Println(err)
		}
	}
	send()
	err = table.Update(1, gateway, neighbour.Update{
		LLAddr: link.Addr{2, 0, 0, 0, 0, 1}, HasLLAddr: true,
		State: neighbour.Reachable, Flags: neighbour.OverrideUnlocked, Cause: neighbour.CauseFrame,
	})
	if err != nil {
		fmt.Println(err)
	}
	passing.Advance(45 * time.Second) // longer than any reachable_time
	send()
	passing.Advance(5 * time.Second)
	for len(changes.C) > 0 {
		if ev := <-changes.C; ev.From != ev.To {
			fmt.Println(ev.From, "to", ev.To, "by", ev.Cause)
		}
	}
	// Output:
	// who has 192.0.2.1 unicast: false
	// frame to 02:00:00:00:00:01
	// frame to 02:00:00:00:00:01
	// who has 192.0.2.1 unicast: true
	// NONE to INCOMPLETE by packet
	// INCOMPLETE to REACHABLE by frame
	// REACHABLE to STALE by timer
	// STALE to DELAY by packet
	// DELAY to PROBE by timer
}
