// Package stack joins the layers into a virtual host: interfaces over link
// devices, ARP, the neighbour table, IPv4, ICMP, UDP and TCP. It decides nothing
// that an RFC has a number for; it hands each layer the functions it calls.
//
// A Host is used like package net: its Dial, DialContext, Listen and
// ListenPacket have net's shapes, so that net/http and everything else written
// against net.Conn runs over it unchanged.
//
// # Concurrency
//
// All methods may be called concurrently. One goroutine per interface reads the
// device and takes each frame up to the socket before it reads the next; there
// are no goroutines or channels between layers. Close ends all of them.
package stack
