package main

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"path/filepath"
	"syscall"
)

// gauges are counters that go down too; they are shown as they are.
var gauges = map[string]bool{"TcpCurrEstab": true, "Arp_entries": true}

// historyFile returns where nstat remembers what it has shown.
func (c *cli) historyFile() string {
	if name := c.getenv("NSTAT_HISTORY"); name != "" {
		return name
	}
	h := fnv.New32a()
	io.WriteString(h, c.control)
	return filepath.Join(os.TempDir(), fmt.Sprintf(".tapstack-nstat.u%d.%08x", os.Getuid(), h.Sum32()))
}

// history is an open file with the counters of the last call.
type history struct{ *os.File }

// openHistory opens a history, and keeps other calls waiting until it is closed.
// In a directory that everybody writes to the file might be somebody's trap.
func openHistory(name string) (history, error) {
	f, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return history{}, fmt.Errorf("nstat: history: %w", err)
	}
	info, err := f.Stat()
	if err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Getuid() {
			err = fmt.Errorf("%s belongs to somebody else: %w", name, syscall.EPERM)
		} else {
			err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX)
		}
	}
	if err != nil {
		f.Close()
		return history{}, fmt.Errorf("nstat: history: %w", err)
	}
	return history{f}, nil
}

// read returns the counters, none when nothing is remembered or it makes no sense.
func (h history) read() (old map[string]uint64, err error) {
	b, err := io.ReadAll(h)
	if err != nil {
		return nil, fmt.Errorf("nstat: history: %w", err)
	}
	if json.Unmarshal(b, &old) != nil {
		return nil, nil
	}
	return old, nil
}

func (h history) write(all map[string]uint64) error {
	b, err := json.Marshal(all)
	if err == nil {
		err = h.Truncate(0)
	}
	if err == nil {
		_, err = h.WriteAt(append(b, '\n'), 0)
	}
	if err != nil {
		return fmt.Errorf("nstat: history: %w", err)
	}
	return nil
}

// since returns what has been counted since old. Counters that went down are those
// of a host that has been started again: then everything is new.
func since(all, old map[string]uint64) (diff map[string]uint64, stale bool) {
	diff = make(map[string]uint64, len(all))
	for name, v := range all {
		switch {
		case gauges[name]:
			diff[name] = v
		case v < old[name]:
			return all, true
		default:
			diff[name] = v - old[name]
		}
	}
	return diff, false
}
