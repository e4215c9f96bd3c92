package stack_test

import (
	"fmt"
	"log"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/bpf"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/ipv4/udp"
	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/packet"
	"github.com/tapstack/tapstack/link/pipe"
)

// A packet socket that captures ARP: a filter in the host leaves everything else
// out.
func ExampleHost_ListenPacketSocket() {
	a, b := pipe.New(pipe.Config{})
	alice, bob := host(a, "10.0.0.1/24"), host(b, "10.0.0.2/24")
	defer alice.Close()
	defer bob.Close()

	filter, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 12, Size: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(link.ARP), SkipFalse: 1},
		bpf.RetConstant{Val: 0xffff}, // as many bytes at most
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		log.Fatal(err)
	}
	c, err := alice.ListenPacketSocket("eth0", packet.SocketConfig{Filter: filter})
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()

	u, err := alice.Dial("udp", "10.0.0.2:9")
	if err != nil {
		log.Fatal(err)
	}
	defer u.Close()
	fmt.Fprint(u, "who are you?")

	frame := make([]byte, 1514)
	for range 2 {
		n, f, err := c.ReadFrame(frame)
		if err != nil {
			log.Fatal(err)
		}
		p, err := arp.Parse(frame[link.EthernetHeaderLen:n])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(f.Type, p.Op, p.SenderIP, "asks or tells", p.TargetIP)
	}
	// Output:
	// outgoing request 10.0.0.1 asks or tells 10.0.0.2
	// host reply 10.0.0.2 asks or tells 10.0.0.1
}

func TestPacketSockets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, bob := pair(t)
		_, err := alice.ListenPacketSocket("eth9", packet.SocketConfig{})
		require.ErrorIs(t, err, syscall.ENODEV)
		out, err := alice.ListenPacketSocket("", packet.SocketConfig{Cooked: true})
		require.NoError(t, err)
		in, err := bob.ListenPacketSocket("eth0", packet.SocketConfig{Cooked: true, Protocol: link.IPv4})
		require.NoError(t, err)
		u, err := alice.UDP().Dial(netip.AddrPort{}, netip.MustParseAddrPort("10.0.0.2:9"), udp.SocketConfig{})
		require.NoError(t, err)
		defer u.Close()
		_, err = u.Write([]byte("hello"))
		require.NoError(t, err)
		synctest.Wait()
		b := make([]byte, 1500)
		n, f, err := in.ReadFrame(b)
		require.NoError(t, err)
		require.Equal(t, link.Host, f.Type)
		require.Equal(t, alice.Interface("eth0").Addr(), f.Addr.Addr)
		require.Equal(t, 33, n)
		require.Equal(t, "hello", string(b[28:n]))
		require.True(t, udp.ValidChecksum(b[20:n], netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")))
		var types []string
		for range 4 {
			_, f, err := out.ReadFrame(b)
			require.NoError(t, err)
			types = append(types, f.Type.String()+" "+f.Protocol.String())
		}
		require.Equal(t, []string{"outgoing ARP", "host ARP", "outgoing IPv4", "host IPv4"}, types, "the last is an ICMP error")

		// Frames of its own making.
		_, err = in.WriteTo([]byte("from bob"), &packet.Addr{Addr: alice.Interface("eth0").Addr(), Protocol: 0x88b5})
		require.NoError(t, err)
		n, f, err = out.ReadFrame(b)
		require.NoError(t, err)
		require.Equal(t, "from bob", string(b[:n]))
		require.EqualValues(t, 0x88b5, f.Protocol)
		require.EqualValues(t, 1, alice.Drops().Count(link.UnhandledProto), "it is a copy that the socket gets")

		// To somebody else, to whom only a promiscuous interface listens.
		stranger := &packet.Addr{Addr: link.Addr{2, 9, 9, 9, 9, 9}, Protocol: 0x88b5}
		_, err = in.WriteTo([]byte("psst"), stranger)
		require.NoError(t, err)
		synctest.Wait()
		curious, err := alice.ListenPacketSocket("eth0", packet.SocketConfig{Cooked: true})
		require.NoError(t, err)
		require.NoError(t, curious.SetPromiscuous(true))
		require.Equal(t, 1, alice.PacketSockets().Promiscuity(alice.Interface("eth0").Index()))
		_, err = in.WriteTo([]byte("hear this"), stranger)
		require.NoError(t, err)
		n, f, err = curious.ReadFrame(b)
		require.NoError(t, err)
		require.Equal(t, "hear this", string(b[:n]))
		require.Equal(t, link.OtherHost, f.Type)

		require.NoError(t, alice.SetUp("eth0", false))
		_, _, err = curious.ReadFrame(b)
		require.ErrorIs(t, err, syscall.ENETDOWN)
		_, err = curious.WriteTo([]byte("x"), stranger)
		require.ErrorIs(t, err, syscall.ENETDOWN)
	})
}
