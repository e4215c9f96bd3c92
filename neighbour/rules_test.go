package neighbour

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// untested are the rules that no test can show, and why.
var untested = map[string]string{
	"ENT-17": "says that there is nothing",
	"ENT-18": "says that there is nothing",
	"NTF-4":  "says that either order is right",
	"L3-18":  "says that there is nothing",
}

var (
	ruleRange   = regexp.MustCompile(`\b([A-Z]+[0-9]?)-([0-9]+)(?: to (?:[A-Z]+[0-9]?-)|\.\.)([0-9]+)`)
	ruleName    = regexp.MustCompile(`\b([A-Z]+[0-9]?)-([0-9]+)[a-z]?\b`)
	ruleDefined = regexp.MustCompile(`\*\*([A-Z]+[0-9]?-[0-9]+)\*\*`)
)

// TestEveryRuleHasATest holds docs/arp-nud-spec.md and the tests of the module to
// each other: a rule about neighbours is named by some test, and tests name no
// rule that there is not.
func TestEveryRuleHasATest(t *testing.T) {
	spec, err := os.ReadFile("../docs/arp-nud-spec.md")
	require.NoError(t, err)
	defined, groups := make(map[string]bool), make(map[string]bool)
	for _, m := range ruleDefined.FindAllStringSubmatch(string(spec), -1) {
		require.False(t, defined[m[1]], "%s is there twice", m[1])
		defined[m[1]] = true
		group, _, _ := strings.Cut(m[1], "-")
		groups[group] = true
	}
	named := make(map[string]string)
	require.NoError(t, filepath.WalkDir("..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") || filepath.Base(path) == "rules_test.go" {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range ruleRange.FindAllSubmatch(text, -1) {
			first, _ := strconv.Atoi(string(m[2]))
			last, _ := strconv.Atoi(string(m[3]))
			for n := first; n <= last; n++ {
				named[string(m[1])+"-"+strconv.Itoa(n)] = path
			}
		}
		for _, m := range ruleName.FindAllSubmatch(text, -1) {
			named[string(m[1])+"-"+string(m[2])] = path
		}
		return err
	}))
	for _, rule := range slices.Sorted(maps.Keys(named)) {
		if group, _, _ := strings.Cut(rule, "-"); groups[group] && !defined[rule] {
			t.Errorf("%s names %s, which is no rule", named[rule], rule)
		}
	}
	for _, rule := range slices.Sorted(maps.Keys(defined)) {
		group, number, _ := strings.Cut(rule, "-")
		n, _ := strconv.Atoi(number)
		switch {
		case slices.Contains([]string{"ARP", "PROXY", "OUT", "ACD", "DEV"}, group), group == "SYSCTL" && n > 21:
			continue // other packages', and reasons
		case untested[rule] != "":
			if named[rule] != "" {
				t.Errorf("%s names %s, which cannot be tested", named[rule], rule)
			}
		case named[rule] == "":
			t.Errorf("no test names %s", rule)
		}
	}
}
