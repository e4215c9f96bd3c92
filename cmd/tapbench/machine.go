package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// machine is where and with what a report was made.
type machine struct {
	Date   string `json:"date"`
	Go     string `json:"go"`
	OS     string `json:"os"`
	Arch   string `json:"arch"`
	CPUs   int    `json:"cpus"`
	CPU    string `json:"cpu,omitempty"`
	Kernel string `json:"kernel,omitempty"`
	GVisor string `json:"gvisor,omitempty"`
}

func thisMachine() machine {
	return machine{
		Date: time.Now().Format(time.DateOnly),
		Go:   runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: workers(),
		CPU: cpuModel(), Kernel: firstLine("/proc/sys/kernel/osrelease"), GVisor: moduleVersion("gvisor.dev/gvisor"),
	}
}

// String names it for a table's heading.
func (m machine) String() string {
	return fmt.Sprintf("%d x %s, Linux %s, %s, gVisor %s", m.CPUs, m.CPU, m.Kernel, m.Go, m.GVisor)
}

// firstLine of a file, "" if there is none.
func firstLine(name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSpace(line)
}

// cpuModel is what Linux calls the processor.
func cpuModel() string {
	b, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// moduleVersion is that of a module in this program.
func moduleVersion(path string) string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, m := range info.Deps {
		if m.Path == path {
			return m.Version
		}
	}
	return ""
}
