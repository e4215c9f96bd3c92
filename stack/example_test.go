package stack_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/netip"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/pipe"
	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack"
)

// host makes a host with one interface, eth0.
func host(dev link.Device, addr string) *stack.Host {
	h, err := stack.New(stack.Config{})
	if err != nil {
		log.Fatal(err)
	}
	_, err = h.AddInterface(stack.InterfaceConfig{Name: "eth0", Device: dev, Addrs: []netip.Prefix{netip.MustParsePrefix(addr)}})
	if err != nil {
		log.Fatal(err)
	}
	return h
}

// Two hosts joined by a cable in memory; net/http runs over them as it is.
func Example() {
	a, b := pipe.New(pipe.Config{})
	alice, bob := host(a, "10.0.0.1/24"), host(b, "10.0.0.2/24")
	defer alice.Close()
	defer bob.Close()

	l, err := bob.Listen("tcp", ":80")
	if err != nil {
		log.Fatal(err)
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "hello from %s", r.Host)
	}))

	client := http.Client{Transport: &http.Transport{DialContext: alice.DialContext, DisableKeepAlives: true}}
	resp, err := client.Get("http://10.0.0.2/")
	if err != nil {
		log.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	fmt.Println(string(body))
	// Output: hello from 10.0.0.2
}

// Watching how a neighbour is resolved: the table's events tell every step and
// what caused it.
func ExampleHost_Neighbours() {
	a, b := pipe.New(pipe.Config{})
	alice, bob := host(a, "10.0.0.1/24"), host(b, "10.0.0.2/24")
	defer alice.Close()
	defer bob.Close()

	events := alice.Neighbours().Subscribe(64)
	defer events.Close()
	c, err := alice.Dial("udp", "10.0.0.2:9")
	if err != nil {
		log.Fatal(err)
	}
	defer c.Close()
	fmt.Fprint(c, "hello")

	for e := range events.C {
		fmt.Println(e.Kind, e.From, "->", e.To, "by", e.Cause)
		if e.Kind == neighbour.Changed && e.To == neighbour.Reachable {
			break
		}
	}
	// Output:
	// created NONE -> NONE by packet
	// changed NONE -> INCOMPLETE by packet
	// queued INCOMPLETE -> INCOMPLETE by packet
	// solicited INCOMPLETE -> INCOMPLETE by packet
	// changed INCOMPLETE -> REACHABLE by frame
}

// Every knob has the name it has on Linux.
func ExampleHost_SetSysctl() {
	a, _ := pipe.New(pipe.Config{})
	h := host(a, "10.0.0.1/24")
	defer h.Close()

	if err := h.SetSysctl("net.ipv4.neigh.eth0.retrans_time_ms", "250"); err != nil {
		log.Fatal(err)
	}
	v, _ := h.Sysctl("net.ipv4.neigh.eth0.retrans_time")
	fmt.Println("retrans_time in 1/100 s:", v)
	err := h.SetSysctl("net.ipv4.neigh.eth0.ucast_solicit", "-1")
	fmt.Println(err)
	// Output:
	// retrans_time in 1/100 s: 25
	// neighbour: sysctl net.ipv4.neigh.eth0.ucast_solicit=-1: want an integer from 0 to 2147483647: neighbour: value out of range: invalid argument
}
