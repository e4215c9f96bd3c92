package main

import (
	"errors"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// echoDatagramSize is the payload of a datagram in flood.
const echoDatagramSize = 64

// flood keeps so many datagrams on their way to the echo service and back. When
// none has come for 50 ms, those that are missing are lost.
func flood(inFlight int) func(*client) (values, error) {
	return func(c *client) (values, error) {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, os.NewSyscallError("socket", err)
		}
		defer unix.Close(fd)
		err = errors.Join(
			unix.Connect(fd, &unix.SockaddrInet4{Port: echoPort, Addr: hostPrefix.Addr().As4()}),
			setReceiveTimeout(fd, 50*time.Millisecond))
		if err != nil {
			return nil, err
		}
		out, in := newMessages(inFlight, echoDatagramSize), newMessages(inFlight, echoDatagramSize)
		start := time.Now()
		measured, end := start.Add(c.warm()), start.Add(c.warm()+c.time)
		var before mark
		under, received, lost := 0, 0, 0
		for now := start; now.Before(end); now = time.Now() {
			if before.at.IsZero() && now.After(measured) {
				before, received, lost = c.now(), 0, 0
			}
			if err := out.send(fd, inFlight-under); err != nil {
				return nil, err
			}
			under = inFlight
			n, err := in.receive(fd)
			if err != nil {
				return nil, err
			}
			if n == 0 {
				lost += under
				under = 0
			}
			under = max(0, under-n)
			received += n
		}
		if before.at.IsZero() || received == 0 {
			return nil, errors.New("no datagram came back in time")
		}
		spent := c.now().since(before)
		return values{
			"rate": float64(received) / spent.time.Seconds(),
			"dut":  spent.dut.Seconds() * 1e6 / float64(received),
			"lost": float64(lost),
		}, nil
	}
}
