package stack_test

import (
	"errors"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tapstack/tapstack/link/tap"
	"github.com/tapstack/tapstack/link/tap/taptest"
	"github.com/tapstack/tapstack/stack"
)

// Every name exists in a kernel, with the same value at the beginning, and takes and
// refuses the same.
func TestSysctlsAreTheKernels(t *testing.T) {
	taptest.Namespace(t)
	dev, err := tap.Open(tap.Config{Name: "t0"})
	require.NoError(t, err)
	h, err := stack.New(stack.Config{Name: "h"})
	require.NoError(t, err)
	defer h.Close()
	_, err = h.AddInterface(stack.InterfaceConfig{Name: "t0", Device: dev})
	require.NoError(t, err)
	for _, name := range h.SysctlNames() {
		path := "/proc/sys/" + strings.ReplaceAll(name, ".", "/")
		old, err := os.ReadFile(path)
		if strings.HasPrefix(name, "net.ipv4.neigh.default.") {
			continue // a namespace has none of its own
		}
		if strings.HasPrefix(name, "net.ipv4.tcp_") {
			continue // limits and congestion controls are our own, switches are 0 or 1
		}
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		v, err := h.Sysctl(name)
		require.NoError(t, err, name)
		if want := strings.TrimSpace(string(old)); v != want {
			t.Errorf("%s = %s, the kernel's is %s", name, v, want)
		}
		values := []string{"", "x", "0", "4", "64", "256", "1000", "1x", "0x10", "020", "8 9"}
		if strings.HasSuffix(name, "_range") {
			values = append(values, "1024 1024", "1023 2000", "2000 1999", "2000 65535", "2000 65536", "0x800 4096", "3000\t4000", "5 x", "2000 x", "2000")
		}
		if !times.MatchString(name) {
			values = append(values, "-1", "1", "2", "3", "255", "100000", "2147483647", "2147483648", "4294967295", "4294967296", "-2147483649", "1 2")
		}
		for _, value := range append(values, v) { // at the end what it was: default's are handed on
			if unlike[name+"="+value] {
				continue
			}
			ours, kernel := errnoOf(h.SetSysctl(name, value)), errnoOf(write(path, value))
			if ours != kernel {
				t.Errorf("%s=%q: %v, the kernel says %v", name, value, ours, kernel)
				continue
			}
			if ours != 0 {
				continue
			}
			got, err := h.Sysctl(name)
			require.NoError(t, err)
			want, err := os.ReadFile(path)
			require.NoError(t, err)
			if got != strings.TrimSpace(string(want)) {
				t.Errorf("%s=%q: then it is %s, the kernel's %s", name, value, got, want)
			}
		}
	}
}

// times are kept in ticks by the kernel, which makes more of them or less.
var times = regexp.MustCompile(`_ms$|_time$|locktime$|_delay$|icmp_ratelimit$`)

// unlike is what is not as in the kernel: values of 64 bits, a mask with a sign, a
// hash with fields of our own choice.
var unlike = map[string]bool{
	"net.ipv4.ipfrag_high_thresh=2147483648": true, "net.ipv4.ipfrag_high_thresh=4294967295": true, "net.ipv4.ipfrag_high_thresh=4294967296": true,
	"net.ipv4.icmp_ratemask=-1": true, "net.ipv4.fib_multipath_hash_policy=2": true, "net.ipv4.fib_multipath_hash_policy=3": true,
}

func write(path, value string) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(value + "\n")
	return err
}

func errnoOf(err error) syscall.Errno {
	var no syscall.Errno
	errors.As(err, &no)
	return no
}
