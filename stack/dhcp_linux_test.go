package stack_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tapstack/tapstack/link/linktest"
)

// dhcpLAN is a segment with a DHCP server at 10.0.0.1, a client without an
// address, and a host at 10.0.0.2, an address that is the server's to give away.
type dhcpLAN struct {
	server, client *kernelHost
	neighbours     func() []string // the host's
}

func newDHCPLAN(t *testing.T) dhcpLAN {
	t.Helper()
	l := dhcpLAN{server: newKernelHost(t), client: newKernelHost(t)}
	segment(l.server, "10.0.0.1/24")
	l.server.run("ip link set br0 address %s", toolsMAC)
	port(l.server, l.client, "c0")
	return l
}

// serve starts dnsmasq, waits until it is ready, and returns a function that
// ends it and returns what it wrote.
func (l dhcpLAN) serve(t *testing.T) (stop func() string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--user=root", "--pid-file",
		"--interface=br0", "--bind-interfaces", "--log-dhcp", "--dhcp-leasefile="+filepath.Join(t.TempDir(), "leases"),
		"--dhcp-sequential-ip", "--dhcp-range=10.0.0.2,10.0.0.4,255.255.255.0,1h")
	r, w, err := os.Pipe()
	require.NoError(t, err)
	cmd.Stderr = w
	ended := make(chan error, 1)
	go func() { ended <- l.server.runProcess(cmd); w.Close() }()
	ready := make(chan bool)
	var log strings.Builder
	read := make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(r)
		for announced := false; lines.Scan(); {
			fmt.Fprintln(&log, lines.Text())
			if !announced && strings.Contains(lines.Text(), "IP range") {
				announced = true
				close(ready)
			}
		}
		r.Close()
	}()
	stop = func() string {
		cancel()
		<-read
		return log.String()
	}
	select {
	case <-ready:
	case err := <-ended:
		t.Fatalf("dnsmasq: %v: %s", err, stop())
	case <-time.After(commandTimeout):
		t.Fatal("dnsmasq does not get ready: " + stop())
	}
	return stop
}

// discover asks for an address as a new client does and returns the first one
// that is offered.
func (l dhcpLAN) discover() (offered netip.Addr, err error) {
	bound := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return errors.Join(c.Control(func(fd uintptr) { err = unix.BindToDevice(int(fd), "c0") }), err)
	}}
	var c net.PacketConn
	l.client.Do(func() { c, err = bound.ListenPacket(context.Background(), "udp4", "0.0.0.0:68") })
	if err != nil {
		return netip.Addr{}, err
	}
	defer c.Close()
	client := [6]byte{2, 0, 0, 0, 0, 3}
	if _, err := c.WriteTo(dhcpDiscover(client, 0x5afe), &net.UDPAddr{IP: net.IPv4bcast, Port: 67}); err != nil {
		return netip.Addr{}, err
	}
	c.SetReadDeadline(time.Now().Add(commandTimeout))
	b := make([]byte, 1500)
	for {
		n, _, err := c.ReadFrom(b)
		if err != nil {
			return netip.Addr{}, err
		}
		// RFC 2131, section 2: op, xid, yiaddr; the first option is the type.
		if n > 243 && b[0] == 2 && binary.BigEndian.Uint32(b[4:]) == 0x5afe && b[240] == 53 && b[242] == 2 {
			return netip.AddrFrom4([4]byte(b[16:])), nil
		}
	}
}

// dhcpDiscover encodes a DHCPDISCOVER (RFC 2131, section 2) that asks for the
// answer by broadcast.
func dhcpDiscover(client [6]byte, xid uint32) []byte {
	b := make([]byte, 300)
	b[0], b[1], b[2] = 1, 1, 6 // BOOTREQUEST, Ethernet
	binary.BigEndian.PutUint32(b[4:], xid)
	b[10] = 0x80                      // flags: broadcast
	copy(b[28:], client[:])           // chaddr
	copy(b[236:], "\x63\x82\x53\x63") // options
	copy(b[240:], []byte{53, 1, 1, 55, 3, 1, 3, 51, 255})
	return b
}

// A DHCP server asks about an address before it offers it. It must hear from a
// host of ours, as from a kernel, and offer another.
func TestKernelPeersDHCPConflictProbe(t *testing.T) {
	linktest.WantNoPackets(t)
	needTools(t, "ip", "dnsmasq")

	linux := newDHCPLAN(t)
	host := newKernelHost(t)
	port(linux.server, host, "t0")
	host.run("ip link set t0 address %s", subjectMAC)
	host.run("ip addr add 10.0.0.2/24 dev t0")
	linux.neighbours = func() []string { return host.neighbours("t0") }

	ours := newDHCPLAN(t)
	h := newHost(t)
	attach(t, h, "t0", bridgedTAP(ours.server, "t0"), "10.0.0.2/24")
	ours.neighbours = func() []string { return neighbours(h, "t0") }

	empty := newDHCPLAN(t) // nobody has the address
	empty.neighbours = func() []string { return nil }

	type outcome struct {
		offered    netip.Addr
		neighbours []string
		err        error
	}
	lans := []dhcpLAN{linux, ours, empty}
	outcomes := make([]chan outcome, len(lans))
	for n, l := range lans {
		stop := l.serve(t)
		defer func() {
			if log := stop(); t.Failed() {
				t.Log(log)
			}
		}()
		outcomes[n] = make(chan outcome, 1)
		go func() {
			var o outcome
			o.offered, o.err = l.discover()
			o.neighbours = l.neighbours()
			outcomes[n] <- o
		}()
	}
	l, o, e := <-outcomes[0], <-outcomes[1], <-outcomes[2]
	require.NoError(t, e.err)
	require.Equal(t, netip.MustParseAddr("10.0.0.2"), e.offered, "the address is in the range")
	require.NoError(t, l.err)
	require.Equal(t, netip.MustParseAddr("10.0.0.3"), l.offered, "a kernel has the address")
	require.Equal(t, []string{"10.0.0.1 lladdr " + toolsMAC + " DELAY"}, l.neighbours)
	require.Equal(t, l, o, "we have the address")
}
