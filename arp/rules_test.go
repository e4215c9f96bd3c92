package arp

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// notApplicable are rules that nothing here can follow or break, with the
// reason.
var notApplicable = map[string]string{
	"ARP-35": "link types other than Ethernet: a TAP is Ethernet",
	"ARP-36": "metadata of tunnels: there are none",
}

// arpRules are the rules of docs/arp-nud-spec.md that are about ARP.
func arpRules() (ids []string) {
	for _, r := range []struct {
		name     string
		from, to int
	}{{"ARP", 1, 37}, {"PROXY", 1, 9}, {"OUT", 1, 5}, {"OUT", 10, 13}, {"ACD", 1, 12}, {"SYSCTL", 30, 45}} {
		for n := r.from; n <= r.to; n++ {
			ids = append(ids, fmt.Sprintf("%s-%d", r.name, n))
		}
	}
	return ids
}

var ruleID = regexp.MustCompile(`\b(ARP|PROXY|OUT|ACD|SYSCTL)-[0-9]+\b`)

// Each rule is named by a test, or says why it need not be.
func TestEveryRuleHasATest(t *testing.T) {
	named := map[string]bool{}
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	err = fs.WalkDir(os.DirFS(root), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != "." && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, "_test.go") || path == "arp/rules_test.go":
			return nil
		}
		text, err := os.ReadFile(filepath.Join(root, path))
		if err != nil {
			return err
		}
		for _, id := range ruleID.FindAllString(string(text), -1) {
			named[id] = true
		}
		return nil
	})
	require.NoError(t, err)
	rules := arpRules()
	for _, id := range rules {
		_, excused := notApplicable[id]
		switch {
		case excused && named[id]:
			t.Errorf("%s has a test: take it off the list of those that need none", id)
		case !excused && !named[id]:
			t.Errorf("%s has no test that names it", id)
		}
	}
	for id := range notApplicable {
		require.Contains(t, rules, id)
	}
	// A rule that does not exist is a slip of the pen.
	for id := range named {
		if !slices.Contains(rules, id) && !strings.HasPrefix(id, "SYSCTL-") {
			t.Errorf("%s is named by a test, and is no rule", id)
		}
	}
}
