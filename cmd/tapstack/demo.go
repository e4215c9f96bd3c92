package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"time"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/ipv4/icmp"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack/control"
)

// demoInside marks the process that runs in the namespaces made for it.
const demoInside = "TAPSTACK_DEMO_INSIDE"

func (c *cli) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo",
		Short: "Show a host at work, without root",
		Long: `Make a network namespace (and, without root, a user namespace), run a host on a TAP in
it, send to a neighbour and print how it is resolved, ping and fetch from the host
through the kernel, and leave nothing behind.`,
		Example: "  tapstack demo",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), time.Minute)
			defer cancel()
			if c.getenv(demoInside) == "" {
				return c.demoOutside(ctx)
			}
			return c.demo(ctx)
		},
	}
}

// demo runs inside the namespaces.
func (c *cli) demo(ctx context.Context) error {
	cfg := hostConfig{
		links: []linkSpec{defaultLink()}, services: []string{"http", "echo"}, log: slog.New(slog.DiscardHandler),
		sysctls: []control.Sysctl{{Name: "net.ipv4.neigh." + defaultLink().name + ".retrans_time_ms", Value: "400"}},
	}
	h, err := startHost(cfg)
	if err != nil {
		return demoFailure(err)
	}
	d := &demonstration{cli: c, host: h, kernel: cfg.links[0].peer.Addr(), self: cfg.links[0].addrs[0].Addr()}
	d.say("A host at %s on %s, the kernel's side of the cable at %s.", d.self, cfg.links[0].name, d.kernel)
	for _, step := range []func(context.Context) error{d.resolve, d.ping, d.fetch, d.table} {
		if err = step(ctx); err != nil {
			err = fmt.Errorf("demo: %w", err)
			break
		}
	}
	return errors.Join(err, h.Close())
}

// demoFailure says why there is no host.
func demoFailure(err error) error {
	const driver = "/dev/net/tun"
	if !errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("demo: %w", err)
	}
	f, openErr := os.OpenFile(driver, os.O_RDWR, 0)
	if openErr != nil {
		return fmt.Errorf("demo: this user may not open %s; run it as root, or `chmod 666 %[1]s`, which is how most systems have it: %w", driver, err)
	}
	f.Close()
	return fmt.Errorf("demo: the new namespace may not have a TAP; run it as root: %w", err)
}

// demonstration is a demo under way.
type demonstration struct {
	cli          *cli
	host         *runningHost
	kernel, self netip.Addr
}

func (d *demonstration) say(format string, args ...any) {
	fmt.Fprintf(d.cli.out, format+"\n", args...)
}

// resolve sends datagrams to a neighbour that is not known yet, and prints what
// the table tells.
func (d *demonstration) resolve(ctx context.Context) error {
	const datagrams = 3
	got, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(d.kernel, 0)))
	if err != nil {
		return err
	}
	defer got.Close()
	events := d.host.Neighbours().Subscribe(256)
	defer events.Close()

	// The kernel answers in microseconds. Where that is allowed it keeps silent
	// until all datagrams wait, so that there is something to see.
	silence := "/proc/sys/net/ipv4/conf/" + defaultLink().name + "/arp_ignore"
	silent := os.WriteFile(silence, []byte("8"), 0) == nil

	d.say("\nThe host sends %d datagrams to %s, whose hardware address it does not know:", datagrams, got.LocalAddr())
	conn, err := d.host.Dial("udp", got.LocalAddr().String())
	if err != nil {
		return err
	}
	defer conn.Close()
	for n := range datagrams {
		if _, err := fmt.Fprintf(conn, "datagram %d", n+1); err != nil {
			return err
		}
	}
	if silent {
		if err := os.WriteFile(silence, []byte("0"), 0); err != nil {
			return err
		}
	}
	deadline := time.After(5 * time.Second)
	reachable, flushed := false, false
	for !reachable || !flushed {
		select {
		case ev := <-events.C:
			if ev.Entry.IP != d.kernel {
				continue
			}
			d.say("  %s", describe(ev))
			reachable = reachable || ev.To == neighbour.Reachable
			flushed = flushed || ev.Kind == neighbour.Flushed
		case <-deadline:
			return errors.New("the kernel did not answer ARP within 5 s")
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	got.SetReadDeadline(time.Now().Add(5 * time.Second))
	buf := make([]byte, 100)
	for n := range datagrams {
		k, _, err := got.ReadFromUDPAddrPort(buf)
		if err != nil {
			return err
		}
		if want := fmt.Sprintf("datagram %d", n+1); string(buf[:k]) != want {
			return fmt.Errorf("the kernel received %q instead of %q", buf[:k], want)
		}
	}
	d.say("The kernel received all %d, in order.", datagrams)
	return nil
}

// describe says what happened to an entry, in a line.
func describe(ev neighbour.Event) string {
	at := ev.Time.Format("15:04:05.000000 ")
	switch ev.Kind {
	case neighbour.Created:
		return at + ev.To.String() + ": a new entry"
	case neighbour.Changed:
		s := at + ev.From.String() + " -> " + ev.To.String()
		if ev.To.Valid() {
			s += " " + ev.Entry.LLAddr.String()
		}
		return s + ", by " + ev.Cause.String()
	case neighbour.Queued:
		return fmt.Sprintf("%s%s: %d waiting", at, ev.To, ev.Count)
	case neighbour.Solicited:
		return at + ev.To.String() + ": who has " + ev.Entry.IP.String() + "?"
	case neighbour.Flushed:
		return fmt.Sprintf("%s%s: flushed %d", at, ev.To, ev.Count)
	}
	return fmt.Sprintf("%s%s: %s %d", at, ev.To, ev.Kind, ev.Count)
}

// ping has the system's ping ask the host or, where there is none, the host ask
// the kernel.
func (d *demonstration) ping(ctx context.Context) error {
	path, err := exec.LookPath("ping")
	if err == nil {
		d.say("\n$ ping -c 3 -i 0.2 %s", d.self)
		out, err := exec.CommandContext(ctx, path, "-c", "3", "-i", "0.2", "-W", "2", d.self.String()).CombinedOutput()
		d.say("%s", bytes.TrimSpace(out))
		if err == nil {
			return nil
		}
		if bytes.Contains(out, []byte(" 0 received")) {
			return errors.New("the host does not answer ping")
		}
		d.say("This ping cannot work here (%v).", err)
	}
	d.say("\nThe host pings %s:", d.kernel)
	conn, err := d.host.ICMP().ListenEcho(netip.Addr{}, 0)
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	for seq := range uint16(3) {
		if err := conn.Send(icmp.EchoRequest{Dst: d.kernel, Seq: seq + 1, Payload: make([]byte, 56)}); err != nil {
			return err
		}
		r, err := conn.Receive(ctx)
		if err == nil {
			err = r.Err
		}
		if err != nil {
			return err
		}
		d.say("%d bytes from %s: icmp_seq=%d ttl=%d time=%s ms", len(r.Payload)+icmp.HeaderLen, r.From, r.Seq, r.TTL, milliseconds(r.RTT))
	}
	return nil
}

// fetch gets pages from the host through the kernel's TCP, as curl does.
func (d *demonstration) fetch(ctx context.Context) error {
	transport := &http.Transport{DialContext: (&net.Dialer{}).DialContext} // no proxy
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport}
	d.say("")
	for _, path := range []string{"/", "/blob/50000000"} {
		url := "http://" + d.self.String() + path
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		start := time.Now()
		resp, err := client.Do(req)
		if err != nil {
			return err
		}
		sum := sha256.New()
		n, err := io.Copy(sum, resp.Body)
		resp.Body.Close()
		if err == nil && (resp.StatusCode != http.StatusOK || n != resp.ContentLength) {
			err = fmt.Errorf("%s: %s, %d of %d bytes", url, resp.Status, n, resp.ContentLength)
		}
		if err != nil {
			return err
		}
		took := time.Since(start)
		d.say("$ curl %s\n%s, %d bytes in %s (%.0f MB/s), sha256 %x...", url, resp.Status, n, took.Round(time.Microsecond),
			float64(n)/1e6/took.Seconds(), sum.Sum(nil)[:8])
	}
	return nil
}

// table prints the neighbour table.
func (d *demonstration) table(context.Context) error {
	d.say("\n$ tapstack -s neigh")
	for e := range d.host.Neighbours().All() {
		if e.State == neighbour.NoARP || e.State == neighbour.None {
			continue
		}
		var b bytes.Buffer
		textNeighbour(&b, options{stats: 1}, control.NeighbourOf(e), false)
		d.say("%s", bytes.TrimSpace(b.Bytes()))
	}
	return nil
}
