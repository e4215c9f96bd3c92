package ipv4

import (
	"net/netip"
	"sync/atomic"

	"github.com/tapstack/tapstack/link"
)

// NextHop takes packets to a neighbour. *neighbour.Interface is one.
type NextHop interface {
	// Output takes p, front at the IPv4 header, to nextHop, which may be a
	// multicast or broadcast address.
	Output(nextHop netip.Addr, p *link.Packet) error
}

// InterfaceConfig describes an interface to AddInterface.
type InterfaceConfig struct {
	Index int    // positive, unique
	Name  string // unique; not "all" nor "default"
	MTU   int    // bytes, at least MinMTU
	// Loopback marks the interface by which packets to our own addresses come
	// back; a host has one.
	Loopback   bool
	Neighbours NextHop
}

// Interface is IPv4 on an interface, Linux's struct in_device. Its methods may
// be called concurrently.
type Interface struct {
	config InterfaceConfig
	mtu    atomic.Int32
	up     atomic.Bool
	addrs  atomic.Pointer[[]Address]
}

// Index returns the interface's index.
func (i *Interface) Index() int { return i.config.Index }

// Name returns the interface's name.
func (i *Interface) Name() string { return i.config.Name }

// Loopback reports whether this is the loopback interface.
func (i *Interface) Loopback() bool { return i.config.Loopback }

// MTU returns the longest packet in bytes that the interface carries.
func (i *Interface) MTU() int { return int(i.mtu.Load()) }

// Up reports whether the interface is administratively up.
func (i *Interface) Up() bool { return i.up.Load() }
