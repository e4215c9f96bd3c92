package control_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"

	"github.com/tapstack/tapstack/link"
	"github.com/tapstack/tapstack/link/pipe"
	"github.com/tapstack/tapstack/stack"
	"github.com/tapstack/tapstack/stack/control"
)

// A host that answers at a control socket, as `tapstack run` does, and a client
// that adds a neighbour and lists the table.
func Example() {
	dev, other := pipe.New(pipe.Config{})
	defer other.Close()
	host, err := stack.New(stack.Config{})
	if err != nil {
		log.Fatal(err)
	}
	defer host.Close()
	_, err = host.AddInterface(stack.InterfaceConfig{Name: "eth0", Device: dev, Addrs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}})
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "control")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "host.sock")
	l, err := control.Listen(path)
	if err != nil {
		log.Fatal(err)
	}
	srv := control.New(host, control.Config{Path: path})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()

	client := control.NewClient(path)
	ctx := context.Background()
	printer := control.NeighRequest{Dst: netip.MustParseAddr("10.0.0.9"), Dev: "eth0", LLAddr: &link.Addr{2, 0, 0, 0, 0, 9}}
	if err := client.Post(ctx, "neigh/add", printer, nil); err != nil {
		log.Fatal(err)
	}
	err = client.Post(ctx, "neigh/add", printer, nil)
	fmt.Println(err, errors.Is(err, syscall.EEXIST))
	var list []control.Neighbour
	if err := client.Get(ctx, "neigh", nil, &list); err != nil {
		log.Fatal(err)
	}
	for _, n := range list {
		fmt.Println(n.Dst, n.Dev, n.LLAddr, n.State)
	}
	client.Close()
	srv.Close()
	<-served
	// Output:
	// neighbour 10.0.0.9 dev eth0: file exists true
	// 10.0.0.9 eth0 02:00:00:00:00:09 PERMANENT
}
