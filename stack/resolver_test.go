package stack_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/tapstack/tapstack/stack"
	"github.com/tapstack/tapstack/stack/stacktest"
)

// names is a DNS server on h that knows these addresses of names. What it says of
// a name with "big" in it fits only TCP.
func names(t *testing.T, h *stack.Host, known map[string]string) {
	t.Helper()
	c, err := h.ListenPacket("udp4", ":53")
	require.NoError(t, err)
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if a := dnsAnswer(b[:n], known, false); a != nil {
				c.WriteTo(a, from)
			}
		}
	}()
	l, err := h.Listen("tcp4", ":53")
	require.NoError(t, err)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 1500)
			if _, err := io.ReadFull(c, b[:2]); err == nil {
				q := b[:binary.BigEndian.Uint16(b)]
				if _, err := io.ReadFull(c, q); err == nil {
					a := dnsAnswer(q, known, true)
					c.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(a))), a...))
				}
			}
			c.Close()
		}
	}()
}

func dnsAnswer(q []byte, known map[string]string, tcp bool) []byte {
	var m dnsmessage.Message
	if m.Unpack(q) != nil || len(m.Questions) != 1 {
		return nil
	}
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	name := m.Questions[0].Name
	ip, ok := known[name.String()]
	switch {
	case !ok:
		m.RCode = dnsmessage.RCodeNameError
	case strings.Contains(name.String(), "big") && !tcp:
		m.Truncated = true
	case m.Questions[0].Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET, TTL: 60},
			Body:   &dnsmessage.AResource{A: netip.MustParseAddr(ip).As4()},
		}}
	}
	b, err := m.Pack()
	if err != nil {
		return nil
	}
	return b
}

// Names are looked up through the host, by servers that only it can reach.
func TestResolver(t *testing.T) {
	lan := stacktest.NewLAN(t)
	server := lan.Host(stacktest.HostConfig{Addr: "10.0.0.1/24"})
	names(t, server, map[string]string{"peer.example.lan.": "10.0.0.1", "big.example.lan.": "10.0.0.7", "top.": "10.0.0.8"})
	h := lan.Host(stacktest.HostConfig{Addr: "10.0.0.2/24"})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()

	_, err := h.LookupNetIP(ctx, "ip4", "peer.example.lan")
	require.ErrorContains(t, err, "no name server is known")

	h.SetDNS("eth0", stack.DNS{Servers: []netip.Addr{netip.MustParseAddr("10.0.0.1")}, Search: []string{"example.lan"}})
	for name, want := range map[string]string{"peer.example.lan": "10.0.0.1", "peer.example.lan.": "10.0.0.1", "peer": "10.0.0.1", "big": "10.0.0.7", "top": "10.0.0.8", "localhost": "127.0.0.1"} {
		list, err := h.LookupNetIP(ctx, "ip4", name)
		require.NoError(t, err, name)
		require.Equal(t, want, list[0].Unmap().String(), name)
	}
	_, err = h.LookupNetIP(ctx, "ip4", "nobody")
	var e *net.DNSError
	require.True(t, errors.As(err, &e) && e.IsNotFound, err)
	require.Equal(t, "nobody", e.Name)

	list, err := h.Resolver().LookupHost(ctx, "peer.example.lan.")
	require.NoError(t, err)
	require.Equal(t, []string{"10.0.0.1"}, list)

	c, err := h.DialContext(ctx, "tcp", "peer:53")
	require.NoError(t, err)
	require.Equal(t, "10.0.0.1:53", c.RemoteAddr().String())
	c.Close()
}

func TestDNSSources(t *testing.T) {
	h, err := stack.New(stack.Config{})
	require.NoError(t, err)
	defer h.Close()
	a, b := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.9")
	h.SetDNS("run", stack.DNS{Servers: []netip.Addr{a}})
	h.SetDNS("t0", stack.DNS{Servers: []netip.Addr{b, a}, Search: []string{"x"}})
	require.Equal(t, stack.DNS{Servers: []netip.Addr{a, b}, Search: []string{"x"}}, h.DNS())
	h.SetDNS("run", stack.DNS{})
	require.Equal(t, stack.DNS{Servers: []netip.Addr{b, a}, Search: []string{"x"}}, h.DNS())
	h.SetDNS("t0", stack.DNS{})
	h.SetDNS("t1", stack.DNS{})
	require.Equal(t, stack.DNS{}, h.DNS())
}
