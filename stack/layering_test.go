package stack_test

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/tapstack/tapstack/"

// levels gives each package its height; a package imports only lower ones.
var levels = map[string]int{
	"link": 0, "stack/deadline": 1, "stack/clock": 0, "stack/random": 0, "stack/devconf": 0,
	"neighbour": 1, "link/tap": 1, "link/pipe": 1, "link/fault": 1, "link/pcap": 1, "link/packet": 2, "link/linktest": 1, "link/tap/taptest": 2,
	"arp": 2, "ipv4": 2,
	"ipv4/icmp": 3, "ipv4/igmp": 3, "ipv4/raw": 3, "ipv4/udp": 3, "ipv4/tcp": 3,
	"stack": 4, "stack/sock": 4, "stack/stacktest": 5, "stack/dhcp": 5, "stack/control": 5,
}

// thirdParty names, by module path, who may import what is not ours and not
// the standard library's.
var thirdParty = map[string][]string{
	"gvisor.dev/gvisor/pkg/buffer": {"link", "ipv4/tcp"},
	"gvisor.dev/gvisor":            {"cmd/tapbench"},
	"golang.org/x/net/ipv4":        {"ipv4/udp"},
	"golang.org/x/net/bpf":         {"link/packet"},
	"golang.org/x/sys":             {"link/tap", "link/tap/taptest", "cmd/"},
	"github.com/songgao/water":     {"link/tap"},
	"github.com/gaissmai/bart":     {"ipv4"},
	"github.com/gopacket/gopacket": {"link/pcap", "stack/control", "cmd/"},
	"github.com/insomniacslk/dhcp": {"stack/dhcp"},
	"github.com/spf13/cobra":       {"cmd/"},
	"go.yaml.in/yaml/v3":           {"cmd/"},
	"github.com/spf13/pflag":       {"cmd/"},
}

type listed struct {
	ImportPath string
	Imports    []string
	Deps       []string
	Standard   bool
}

func goList(t *testing.T, args ...string) []listed {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps,Standard"}, args...)...).Output()
	require.NoError(t, err, "go list %v", args)
	var pkgs []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); d.More(); {
		var p listed
		require.NoError(t, d.Decode(&p))
		pkgs = append(pkgs, p)
	}
	return pkgs
}

// Imports point down only: never up, never sideways.
func TestImportsPointDown(t *testing.T) {
	for _, p := range goList(t, "../...") {
		name := strings.TrimPrefix(p.ImportPath, module)
		if strings.HasPrefix(name, "cmd/") {
			continue
		}
		level, ok := levels[name]
		if !ok {
			t.Errorf("%s has no level: give it one in this test", name)
			continue
		}
		for _, imp := range p.Imports {
			to, ours := strings.CutPrefix(imp, module)
			if !ours {
				continue
			}
			if l, ok := levels[to]; !ok || l >= level {
				t.Errorf("%s (level %d) imports %s (level %d)", name, level, to, l)
			}
		}
	}
}

// A program that embeds the stack gets the stack's dependencies, not those of
// the command line.
func TestThirdPartiesStayWhereTheyBelong(t *testing.T) {
	allowed := func(name, imp string) bool {
		for path, who := range thirdParty {
			if imp != path && !strings.HasPrefix(imp, path+"/") {
				continue
			}
			for _, w := range who {
				if name == w || strings.HasSuffix(w, "/") && strings.HasPrefix(name, w) {
					return true
				}
			}
		}
		return false
	}
	for _, p := range goList(t, "../...") {
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, imp := range p.Imports {
			first, _, _ := strings.Cut(imp, "/")
			if strings.HasPrefix(imp, module) || !strings.Contains(first, ".") {
				continue
			}
			if !allowed(name, imp) {
				t.Errorf("%s imports %s, which is not for it", name, imp)
			}
		}
	}
	for _, p := range goList(t, "../stack") {
		for _, d := range p.Deps {
			for _, no := range []string{"github.com/spf13/", "github.com/gopacket/", "net/http"} {
				if strings.HasPrefix(d, no) {
					t.Errorf("package stack drags in %s", d)
				}
			}
		}
	}
}
