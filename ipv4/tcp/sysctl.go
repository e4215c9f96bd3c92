package tcp

import (
	"fmt"
	"strconv"
	"strings"
	"syscall"
)

// params are the values that may change while a host runs. They are immutable: a
// change replaces them all.
type params struct {
	congestion         string
	ecn                ECN
	slowStartAfterIdle bool
	moderateRcvbuf     bool
	syncookies         bool
	rmem, wmem         [3]int // least, default, most
}

func (c *Config) params() *params {
	return &params{congestion: c.Congestion, ecn: c.ECN, slowStartAfterIdle: !c.NoSlowStartAfterIdle,
		moderateRcvbuf: !c.NoModerateReceiveBuffer, syncookies: !c.NoSyncookies,
		rmem: [3]int{minBuffer, c.ReceiveBuffer, c.MaxReceiveBuffer}, wmem: [3]int{minBuffer, minSendBuffer, c.SendBuffer}}
}

// SysctlNames returns the names that Sysctl knows, each below net.ipv4.
func SysctlNames() []string {
	return []string{"tcp_available_congestion_control", "tcp_congestion_control", "tcp_ecn", "tcp_moderate_rcvbuf",
		"tcp_rmem", "tcp_slow_start_after_idle", "tcp_syncookies", "tcp_wmem"}
}

// Sysctl reads the value that Linux calls net.ipv4.name. The error is ENOENT for an
// unknown name.
func (pr *Protocol) Sysctl(name string) (string, error) {
	p := pr.params.Load()
	bit := func(on bool) string {
		if on {
			return "1"
		}
		return "0"
	}
	three := func(v [3]int) string { return fmt.Sprintf("%d\t%d\t%d", v[0], v[1], v[2]) }
	switch name {
	case "tcp_available_congestion_control":
		return strings.Join(CongestionControls(), " "), nil
	case "tcp_congestion_control":
		return p.congestion, nil
	case "tcp_ecn":
		return [...]string{ECNPassive: "2", ECNOff: "0", ECNOn: "1"}[p.ecn], nil
	case "tcp_moderate_rcvbuf":
		return bit(p.moderateRcvbuf), nil
	case "tcp_rmem":
		return three(p.rmem), nil
	case "tcp_slow_start_after_idle":
		return bit(p.slowStartAfterIdle), nil
	case "tcp_syncookies":
		return bit(p.syncookies), nil
	case "tcp_wmem":
		return three(p.wmem), nil
	}
	return "", fmt.Errorf("tcp: read %s: %w", name, syscall.ENOENT)
}

// SetSysctl writes the value that Linux calls net.ipv4.name; what exists already
// keeps what it has. The errors are ENOENT for an unknown name or congestion control,
// EACCES for what can only be read, and EINVAL.
func (pr *Protocol) SetSysctl(name, value string) error {
	for {
		old := pr.params.Load()
		p := *old
		if err := p.set(name, value); err != nil {
			return fmt.Errorf("tcp: set %s to %q: %w", name, value, err)
		}
		if pr.params.CompareAndSwap(old, &p) {
			return nil
		}
	}
}

func (p *params) set(name, value string) error {
	number := func(most int) (int, error) {
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 || n > most {
			return 0, syscall.EINVAL
		}
		return n, nil
	}
	bit := func(v *bool) error {
		n, err := number(1)
		if err == nil {
			*v = n == 1
		}
		return err
	}
	three := func(v *[3]int) error {
		fields := strings.Fields(value)
		if len(fields) != 3 {
			return syscall.EINVAL
		}
		var got [3]int
		for i, f := range fields {
			n, err := strconv.Atoi(f)
			if err != nil || n < 1 || n > maxCongestionWindow {
				return syscall.EINVAL
			}
			got[i] = n
		}
		*v = got
		return nil
	}
	switch name {
	case "tcp_available_congestion_control":
		return syscall.EACCES
	case "tcp_congestion_control":
		if newCongestionControl(value) == nil {
			return syscall.ENOENT
		}
		p.congestion = value
		return nil
	case "tcp_ecn":
		n, err := number(2)
		if err == nil {
			p.ecn = [...]ECN{ECNOff, ECNOn, ECNPassive}[n]
		}
		return err
	case "tcp_moderate_rcvbuf":
		return bit(&p.moderateRcvbuf)
	case "tcp_rmem":
		return three(&p.rmem)
	case "tcp_slow_start_after_idle":
		return bit(&p.slowStartAfterIdle)
	case "tcp_syncookies":
		return bit(&p.syncookies)
	case "tcp_wmem":
		return three(&p.wmem)
	}
	return syscall.ENOENT
}
