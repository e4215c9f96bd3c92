package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// bulk moves zeros through n connections, up to the device under test or down from
// it. What is counted is what passes the client's sockets after a warm-up, so
// that what buffers hold cancels out.
func bulk(up bool, n int) func(*client) (values, error) {
	return func(c *client) (values, error) {
		port := chargenPort
		if up {
			port = discardPort
		}
		var moved atomic.Int64
		failed := make(chan error, n)
		for range n {
			conn, err := dial("tcp4", port)
			if err != nil {
				return nil, err
			}
			move := conn.Read
			if up {
				move = conn.Write
			}
			go func() {
				b := make([]byte, bulkBuffer)
				for {
					n, err := move(b)
					moved.Add(int64(n))
					if err != nil {
						failed <- err
						return
					}
				}
			}()
		}
		time.Sleep(c.warm())
		before, bytes := c.now(), moved.Load()
		time.Sleep(c.time)
		spent, gb := c.now().since(before), float64(moved.Load()-bytes)/1e9
		select {
		case err := <-failed:
			return nil, err
		default:
		}
		if gb == 0 {
			return nil, errors.New("nothing moved")
		}
		return values{"gbps": 8 * gb / spent.time.Seconds(), "dut": spent.dut.Seconds() / gb, "machine": spent.machine.Seconds() / gb}, nil
	}
}

// roundTrips sends a byte and waits for it, again and again.
func roundTrips(network string) func(*client) (values, error) {
	return func(c *client) (values, error) {
		conn, err := dial(network, echoPort)
		if err != nil {
			return nil, err
		}
		start := time.Now()
		measured, end := start.Add(c.warm()), start.Add(c.warm()+c.time)
		if err := conn.SetDeadline(end.Add(patience)); err != nil {
			return nil, err
		}
		var times []time.Duration
		b := []byte{1}
		for now := start; now.Before(end); {
			if _, err := conn.Write(b); err != nil {
				return nil, err
			}
			if _, err := io.ReadFull(conn, b); err != nil {
				return nil, err
			}
			then := now
			if now = time.Now(); then.After(measured) {
				times = append(times, now.Sub(then))
			}
		}
		if len(times) == 0 {
			return nil, errors.New("no round trip in time")
		}
		slices.Sort(times)
		return values{"p50": quantile(times, .5), "p99": quantile(times, .99)}, nil
	}
}

// connects opens and closes connections from so many goroutines.
func connects(dialers int) func(*client) (values, error) {
	return func(c *client) (values, error) {
		rate, err := c.inParallel(dialers, func() (func() error, error) {
			return func() error {
				conn, err := dial("tcp4", echoPort)
				if err != nil {
					return err
				}
				return conn.Close()
			}, nil
		})
		return values{"rate": rate}, err
	}
}

// requests asks for the same short page over connections that are kept open.
func requests(conns int) func(*client) (values, error) {
	request := []byte("GET / HTTP/1.1\r\nHost: " + hostPrefix.Addr().String() + "\r\nUser-Agent: tapbench\r\nAccept: */*\r\n\r\n")
	return func(c *client) (values, error) {
		rate, err := c.inParallel(conns, func() (func() error, error) {
			conn, err := dial("tcp4", httpPort)
			if err != nil {
				return nil, err
			}
			if err := conn.SetDeadline(time.Now().Add(c.warm() + c.time + patience)); err != nil {
				return nil, err
			}
			r := bufio.NewReader(conn)
			return func() error {
				if _, err := conn.Write(request); err != nil {
					return err
				}
				return readResponse(r)
			}, nil
		})
		return values{"rate": rate}, err
	}
}

// readResponse reads one response of HTTP/1.1 with a Content-Length. net/http's
// client would cost more than the stacks that are compared.
func readResponse(r *bufio.Reader) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return fmt.Errorf("http: %q", line)
	}
	length := -1
	for {
		line, err := r.ReadSlice('\n')
		if err != nil {
			return err
		}
		if len(line) <= len("\r\n") {
			break
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			if length, err = strconv.Atoi(strings.TrimSpace(string(v))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errors.New("http: a response without Content-Length")
	}
	_, err = r.Discard(length)
	return err
}

// inParallel prepares an operation for each of n goroutines, lets them repeat it,
// and returns how many operations a second there were after the warm-up.
func (c *client) inParallel(n int, prepare func() (func() error, error)) (float64, error) {
	ops := make([]func() error, n)
	for k := range ops {
		op, err := prepare()
		if err != nil {
			return 0, err
		}
		ops[k] = op
	}
	var count atomic.Int64
	var stop atomic.Bool
	var wg sync.WaitGroup
	errs := make([]error, n)
	for k, op := range ops {
		wg.Go(func() {
			for !stop.Load() {
				if err := op(); err != nil {
					errs[k] = err
					return
				}
				count.Add(1)
			}
		})
	}
	time.Sleep(c.warm())
	start, before := time.Now(), count.Load()
	time.Sleep(c.time)
	rate := float64(count.Load()-before) / time.Since(start).Seconds()
	stop.Store(true)
	wg.Wait()
	err := errors.Join(errs...)
	if err == nil && rate == 0 {
		err = errors.New("nothing was done in time")
	}
	return rate, err
}

// idle opens connections, uses each once, and asks what the device under test has
// grown by.
func idle(c *client) (values, error) {
	before, err := residentBytes(c.pid)
	if err != nil {
		return nil, err
	}
	conns := make([]net.Conn, c.conns)
	b := []byte{1}
	for k := range conns {
		conn, err := dial("tcp4", echoPort)
		if err != nil {
			return nil, fmt.Errorf("connection %d: %w", k, err)
		}
		conns[k] = conn
		if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
			return nil, err
		}
		if _, err := conn.Write(b); err != nil {
			return nil, fmt.Errorf("connection %d: %w", k, err)
		}
		if _, err := io.ReadFull(conn, b); err != nil {
			return nil, fmt.Errorf("connection %d: %w", k, err)
		}
	}
	time.Sleep(min(c.time, 300*time.Millisecond))
	after, err := residentBytes(c.pid)
	for _, conn := range conns {
		err = errors.Join(err, conn.Close())
	}
	return values{"kib": float64(after-before) / 1024 / float64(c.conns)}, err
}

// check sends noise up, has noise sent down, and compares what arrives by hash. A
// difference is an error.
func check(c *client) (values, error) {
	seed := uint64(time.Now().UnixNano())
	size := int64(c.check)
	want := sha256.New()
	if _, err := io.Copy(want, noise(seed, size)); err != nil {
		return nil, err
	}
	for _, transfer := range []func(seed uint64, size int64) ([]byte, error){sendNoise, receiveNoise} {
		have, err := transfer(seed, size)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(have, want.Sum(nil)) {
			return nil, fmt.Errorf("%d bytes from seed %d did not arrive as they were sent", size, seed)
		}
	}
	return values{"mb": float64(size) / 1e6}, nil
}

// sendNoise returns the SHA-256 that the device under test has of what it got.
func sendNoise(seed uint64, size int64) ([]byte, error) {
	conn, err := dial("tcp4", digestPort)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(3 * patience)); err != nil {
		return nil, err
	}
	if _, err := io.CopyBuffer(onlyWriter{conn}, noise(seed, size), make([]byte, bulkBuffer)); err != nil {
		return nil, err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return nil, err
	}
	return io.ReadAll(conn)
}

// receiveNoise returns the SHA-256 of what the device under test sent.
func receiveNoise(seed uint64, size int64) ([]byte, error) {
	conn, err := dial("tcp4", sourcePort)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(3 * patience)); err != nil {
		return nil, err
	}
	var b []byte
	b = binary.BigEndian.AppendUint64(b, seed)
	b = binary.BigEndian.AppendUint64(b, uint64(size))
	if _, err := conn.Write(b); err != nil {
		return nil, err
	}
	h := sha256.New()
	_, err = io.CopyBuffer(h, onlyReader{conn}, make([]byte, bulkBuffer))
	return h.Sum(nil), err
}
