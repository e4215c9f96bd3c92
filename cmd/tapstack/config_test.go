package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// everySetting says everything that a file can say.
const everySetting = `# A host with two links.
links:
  - name: t0
    mac: 02:00:00:00:00:02
    addr: [10.1.0.2/24, 10.1.0.3/24]
    peer: 10.1.0.1/24
    mtu: 1400
    queues: 2
    offload: off
    gro: on
  - {name: t1, addr: dhcp, gro: off}
  - name=t2,addr=10.3.0.2/24
routes:
  - dst: 0.0.0.0/0
    via: 10.1.0.1
    dev: t0
    src: 10.1.0.3
    metric: 7
  - 10.9.0.0/16,via=10.3.0.1
sysctls:
  net.ipv4.conf.t0.arp_ignore: 1
  net/ipv4/ip_forward: 0x1
  net.ipv4.ip_local_port_range: [1024, 2048]
services: [http, discard]
dns: [10.1.0.1, 10.3.0.1]
control: /tmp/other.sock
log_level: warn
log_format: json
`

// configured returns the configuration of a command line of run.
func configured(t *testing.T, args ...string) (hostConfig, runFlags, error) {
	t.Helper()
	c := &cli{err: os.Stderr, getenv: func(string) string { return "" }}
	root := c.root()
	cmd, rest, err := root.Find(append([]string{"run"}, args...))
	require.NoError(t, err)
	require.NoError(t, cmd.ParseFlags(rest))
	var f runFlags
	get := func(name string) []string {
		list, err := cmd.Flags().GetStringArray(name)
		require.NoError(t, err)
		return list
	}
	f.links, f.routes, f.sysctls, f.services, f.dns = get("link"), get("route"), get("sysctl"), get("service"), get("dns")
	f.config, _ = cmd.Flags().GetString("config")
	f.logLevel, _ = cmd.Flags().GetString("log-level")
	f.logFormat, _ = cmd.Flags().GetString("log-format")
	if err := c.configure(cmd.Flags(), &f); err != nil {
		return hostConfig{}, f, err
	}
	cfg, err := c.hostConfig(f)
	cfg.log = nil
	return cfg, f, err
}

func configFileOf(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "host.yaml")
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

// A file says all that the flags can say, and means the same.
func TestConfigFileIsTheFlags(t *testing.T) {
	fromFile, f, err := configured(t, "--config", configFileOf(t, everySetting))
	require.NoError(t, err)
	fromFlags, g, err := configured(t, "--link", "name=t0,mac=02:00:00:00:00:02,addr=10.1.0.2/24,addr=10.1.0.3/24,peer=10.1.0.1/24,mtu=1400,queues=2,offload=off,gro=on",
		"--link", "name=t1,addr=dhcp,gro=off", "--link", "name=t2,addr=10.3.0.2/24",
		"--route", "0.0.0.0/0,via=10.1.0.1,dev=t0,src=10.1.0.3,metric=7", "--route", "10.9.0.0/16,via=10.3.0.1",
		"--sysctl", "net.ipv4.conf.t0.arp_ignore=1", "--sysctl", "net/ipv4/ip_forward=0x1", "--sysctl", "net.ipv4.ip_local_port_range=1024 2048",
		"--service", "http", "--service", "discard", "--dns", "10.1.0.1", "--dns", "10.3.0.1", "--control", "/tmp/other.sock",
		"--log-level", "warn", "--log-format", "json")
	require.NoError(t, err)
	require.Equal(t, fromFlags, fromFile)
	f.config = ""
	require.Equal(t, g, f)
}

// Every flag of run has its key, so that none is forgotten.
func TestConfigFileHasEverySetting(t *testing.T) {
	keys := map[string]string{"link": "links", "route": "routes", "sysctl": "sysctls", "service": "services", "dns": "dns",
		"control": "control", "log-level": "log_level", "log-format": "log_format"}
	c := &cli{getenv: func(string) string { return "" }}
	run := command(c.root(), "run")
	run.InheritedFlags()
	run.Flags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "config" || f.Name == "help" {
			return
		}
		require.Contains(t, keys, f.Name)
		require.Contains(t, everySetting, "\n"+keys[f.Name]+":", "the test's file")
	})
}

func TestFlagsGoBeforeTheFile(t *testing.T) {
	name := configFileOf(t, everySetting)
	cfg, f, err := configured(t, "--config", name, "--link", "name=t9,addr=10.9.0.2/24", "--route", "0.0.0.0/0,via=10.9.0.1",
		"--sysctl", "net.ipv4.conf.t0.arp_ignore=2", "--service", "none", "--dns", "10.9.0.1", "--control", "/tmp/mine.sock", "--log-level", "debug")
	require.NoError(t, err)
	require.Len(t, cfg.links, 1)
	require.Equal(t, "t9", cfg.links[0].name)
	require.Len(t, cfg.routes, 1)
	require.Empty(t, cfg.services)
	require.Len(t, cfg.dns, 1)
	require.Equal(t, "/tmp/mine.sock", cfg.control)
	require.Equal(t, "debug", f.logLevel)
	require.Equal(t, "json", f.logFormat, "not said")
	require.Equal(t, "net.ipv4.conf.t0.arp_ignore=1", f.sysctls[0])
	require.Equal(t, "net.ipv4.conf.t0.arp_ignore=2", f.sysctls[len(f.sysctls)-1], "set later")
}

// What a file leaves out is as without a file.
func TestConfigFileMayBeShort(t *testing.T) {
	want, _, err := configured(t)
	require.NoError(t, err)
	for _, text := range []string{"", "# nothing\n", "---\n", "links:\n  - name=tap0,addr=10.0.0.2/24,peer=10.0.0.1/24\n", "services: [http, echo]\n",
		"links: [{name: tap0, addr: &a 10.0.0.2/24, peer: 10.0.0.1/24}]\n", "log_level: info\n"} {
		cfg, _, err := configured(t, "--config", configFileOf(t, text))
		require.NoError(t, err, text)
		require.Equal(t, want, cfg, text)
	}
}

// The file that the README shows is one.
func TestConfigFileOfTheReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	_, example, ok := strings.Cut(string(text), "\n    links:\n")
	require.True(t, ok)
	example, _, _ = strings.Cut(example, "\n## ")
	cfg, _, err := configured(t, "--config", configFileOf(t, "    links:\n"+example))
	require.NoError(t, err)
	require.Len(t, cfg.links, 2)
	require.Len(t, cfg.sysctls, 2)
	require.Equal(t, "/run/router.sock", cfg.control)
}

func TestBadConfigFiles(t *testing.T) {
	for text, want := range map[string]string{
		"link:\n  - name: t0\n":                            `:1: there is no key "link": want one of control, dns, links, log_format, log_level, routes, services, sysctls`,
		"control: /x\n\nlinks:\n  - name: t0\n    ip: 1\n": `:5: there is no key "ip": want one of addr, gro, mac, mtu, name, offload, peer, queues`,
		"routes:\n  - via: 10.0.0.1\n":                     ":2: want dst",
		"routes:\n  - dst: 10.0.0.0/8\n    gw: 10.0.0.1\n": `:3: there is no key "gw": want one of dev, dst, metric, src, via`,
		"links:\n  - name: t0\n    mtu: 9\n":               `:2: link name=t0,mtu=9: mtu: `,
		"links:\n  - name: t0\n    name: t1\n":             ":3: name is there twice",
		"links: t0\n":                                      ":1: want a list: - ITEM",
		"links:\n  - name: t0,mtu=9\n":                     `:2: name: "t0,mtu=9" has a comma`,
		"links:\n  - [a]\n":                                ":2: want a value",
		"- a\n":                                            ":1: want a mapping: KEY: VALUE",
		"sysctls: [a]\n":                                   ":1: want a mapping: net.ipv4.ip_forward: 1",
		"sysctls:\n  a: 1\n  a: 2\n":                       ":3: a is there twice",
		"sysctls:\n  a:\n":                                 ":2: want a value",
		"log_level: loud\n":                                ":1: log-level loud: want debug, info, warn or error",
		"log_format: xml\n":                                ":1: log-format xml: want text or json",
		"control: {a: 1}\n":                                ":1: want a value",
		"control: a\n---\ncontrol: b\n":                    ": want one document",
		"links: [\n":                                       ":1: did not find",
		"dns:\n  - nobody\n":                               ":2: ",
		"links:\n  - name=t0\n  - name=t0\n":               "--link name=t0 is given twice",
		"services: [ftp]\n":                                "--service: ",
	} {
		_, _, err := configured(t, "--config", configFileOf(t, text))
		require.ErrorContains(t, err, want, text)
		code, _ := exit(err)
		require.Equal(t, exitUsage, code, text)
	}
	_, _, err := configured(t, "--config", "/nonexistent")
	require.EqualError(t, err, "--config /nonexistent: no such file or directory")
}

func FuzzConfigFile(f *testing.F) {
	f.Add(everySetting)
	f.Add("links: &a [*a]\n")
	f.Add("a: &x {<<: *x}")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseConfig("x", []byte(text))
		if err != nil {
			return
		}
		for _, s := range c.links {
			_, err := parseLink(s)
			require.NoError(t, err, "what was read is what the flag takes")
		}
	})
}
