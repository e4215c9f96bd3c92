package ipv4_test

import (
	"fmt"
	"net/netip"

	"github.com/tapstack/tapstack/ipv4"
	"github.com/tapstack/tapstack/link"
)

// neighbours prints what would leave.
type neighbours struct{ name string }

func (n neighbours) Output(nextHop netip.Addr, p *link.Packet) error {
	h, err := ipv4.Parse(p.Bytes())
	fmt.Printf("%s: %v > %v, ttl %d, next hop %v\n", n.name, h.Src, h.Dst, h.TTL, nextHop)
	p.Release()
	return err
}

// A host with one interface and a default route sends two datagrams.
func ExampleProtocol_Output() {
	ip := ipv4.New(ipv4.Config{})
	defer ip.Close()
	if _, err := ip.AddInterface(ipv4.InterfaceConfig{Index: 1, Name: "tap0", MTU: 1500, Neighbours: neighbours{"tap0"}}); err != nil {
		fmt.Println(err)
	}
	ip.SetUp(1, true)
	if err := ip.AddAddress(1, ipv4.Address{Prefix: netip.MustParsePrefix("10.0.0.2/24")}); err != nil {
		fmt.Println(err)
	}
	if err := ip.AddRoute(ipv4.Route{Gateway: netip.MustParseAddr("10.0.0.1")}); err != nil {
		fmt.Println(err)
	}
	for _, dst := range []string{"10.0.0.9", "192.0.2.1"} {
		p := link.NewPacketFrom([]byte("a transport's segment"))
		if err := ip.Output(p, ipv4.Send{Dst: netip.MustParseAddr(dst), Protocol: 253}); err != nil {
			fmt.Println(err)
		}
	}
	// Output:
	// tap0: 10.0.0.2 > 10.0.0.9, ttl 64, next hop 10.0.0.9
	// tap0: 10.0.0.2 > 192.0.2.1, ttl 64, next hop 10.0.0.1
}
