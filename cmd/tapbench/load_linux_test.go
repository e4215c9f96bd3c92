package main

import (
	"bufio"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/arp"
	"github.com/tapstack/tapstack/link"
)

func TestQuantile(t *testing.T) {
	var times []time.Duration
	for k := range 101 {
		times = append(times, time.Duration(k)*time.Microsecond)
	}
	require.Equal(t, 50., quantile(times, .5))
	require.Equal(t, 99., quantile(times, .99))
	require.Equal(t, 7., quantile(times[7:8], .99))
}

// A client's process is told what its parent knows.
func TestClientArgs(t *testing.T) {
	c := client{time: time.Second, pid: 7, sizes: sizes{conns: 1, senders: 2, neighbours: 3, check: 4}}
	require.Equal(t, []string{"--check=4", "--conns=1", "--neighbours=3", "--pid=7", "--senders=2", "--time=1s"}, c.args())
}

func TestReadResponse(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\nDate: now\r\nContent-Length: 6\r\n\r\nhello\n"
	r := bufio.NewReader(strings.NewReader(ok + ok))
	require.NoError(t, readResponse(r))
	require.NoError(t, readResponse(r), "no more and no less than the first was read")
	require.ErrorIs(t, readResponse(r), io.EOF)

	for name, s := range map[string]string{
		"status":    "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n",
		"no length": "HTTP/1.1 200 OK\r\n\r\n",
		"length":    "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
		"short":     ok[:len(ok)-1],
		"header":    "HTTP/1.1 200 OK\r\nDate",
	} {
		require.Error(t, readResponse(bufio.NewReader(strings.NewReader(s))), name)
	}
}

func TestNoise(t *testing.T) {
	read := func(seed uint64, n int64) string {
		b, err := io.ReadAll(noise(seed, n))
		require.NoError(t, err)
		require.Len(t, b, int(n))
		return string(b)
	}
	require.Equal(t, read(1, 1000), read(1, 2000)[:1000])
	require.NotEqual(t, read(1, 1000), read(2, 1000))
}

func TestNeighboursAnswer(t *testing.T) {
	ip, mac := station(firstNeighbour + 5)
	request := make([]byte, arpFrameLen)
	link.Ethernet{Dst: link.BroadcastAddr, Src: hostMAC, Type: link.ARP}.Put(request)
	arp.Packet{Op: arp.Request, SenderAddr: hostMAC, SenderIP: hostPrefix.Addr(), TargetIP: ip}.Put(request[link.EthernetHeaderLen:])

	reply := make([]byte, arpFrameLen)
	require.False(t, answer(reply, request, firstNeighbour, 5), "neighbours 0 to 4")
	require.True(t, answer(reply, request, firstNeighbour, 6))
	h, n, err := link.ParseEthernet(reply)
	require.NoError(t, err)
	require.Equal(t, link.Ethernet{Dst: hostMAC, Src: mac, Type: link.ARP}, h)
	p, err := arp.Parse(reply[n:])
	require.NoError(t, err)
	require.Equal(t, arp.Packet{Op: arp.Reply, SenderAddr: mac, SenderIP: ip, TargetAddr: hostMAC, TargetIP: hostPrefix.Addr()}, p)

	require.False(t, answer(reply, reply, firstNeighbour, 6), "a reply is no request")
	require.False(t, answer(reply, request[:20], firstNeighbour, 6))
	require.False(t, answer(reply, request[:4], firstNeighbour, 6))
}

func TestDatagramFor(t *testing.T) {
	ip, mac := station(firstNeighbour + 5)
	frame := udpFrame(ip, 64)
	_, ok := datagramFor(frame, 6)
	require.False(t, ok, "to another link-layer address")
	link.Ethernet{Dst: mac, Src: hostMAC, Type: link.IPv4}.Put(frame)
	k, ok := datagramFor(frame, 6)
	require.True(t, ok)
	require.Equal(t, 5, k)
	_, ok = datagramFor(frame, 5)
	require.False(t, ok)
	_, ok = datagramFor(frame[:30], 6)
	require.False(t, ok)
}

func TestRequestAndReply(t *testing.T) {
	b := make([]byte, arpFrameLen)
	putRequest(b, firstSender)
	p, err := arp.Parse(b[link.EthernetHeaderLen:])
	require.NoError(t, err)
	require.Equal(t, "10.8.0.1", p.SenderIP.String())
	require.Equal(t, hostPrefix.Addr(), p.TargetIP)
	require.False(t, isReply(b))

	arp.Packet{Op: arp.Reply, SenderAddr: hostMAC, SenderIP: hostPrefix.Addr(), TargetAddr: p.SenderAddr, TargetIP: p.SenderIP}.Put(b[link.EthernetHeaderLen:])
	require.True(t, isReply(b))
	require.False(t, isReply(b[:arpFrameLen-1]))
}
