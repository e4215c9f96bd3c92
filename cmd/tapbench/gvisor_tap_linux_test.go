package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// What netstack leaves to the kernel is what the header asks for; in the host's
// byte order, here little-endian.
func TestVnetHeader(t *testing.T) {
	of := func(payload int, o stack.GSO) [vnetLen]byte {
		pkt := stack.NewPacketBuffer(stack.PacketBufferOptions{ReserveHeaderBytes: 54, Payload: buffer.MakeWithData(make([]byte, payload))})
		defer pkt.DecRef()
		pkt.TransportHeader().Push(20)
		pkt.NetworkHeader().Push(20)
		pkt.LinkHeader().Push(14)
		pkt.GSOOptions = o
		return vnetHeader(pkt)
	}
	tcp := stack.GSO{Type: stack.GSOTCPv4, NeedsCsum: true, CsumOffset: 16, MSS: 1448, L3HdrLen: 20}
	require.Equal(t, [vnetLen]byte{}, of(100, stack.GSO{}), "complete by itself")
	require.Equal(t, [vnetLen]byte{1, 0, 0, 0, 0, 0, 34, 0, 16, 0}, of(1448, tcp), "one segment, without its checksum")
	require.Equal(t, [vnetLen]byte{1, 1, 54, 0, 0xa8, 5, 34, 0, 16, 0}, of(1449, tcp), "two segments")
}
