package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"
)

// configure takes over from --config what the flags leave open.
func (c *cli) configure(flags *pflag.FlagSet, f *runFlags) error {
	if f.config == "" {
		return nil
	}
	b, err := os.ReadFile(f.config)
	if err != nil {
		return usage("--config %s: %s", f.config, errnoOf(err))
	}
	file, err := parseConfig(f.config, b)
	if err != nil {
		return err
	}
	for _, v := range []struct {
		flag string
		to   *[]string
		from []string
	}{{"link", &f.links, file.links}, {"route", &f.routes, file.routes}, {"service", &f.services, file.services}, {"dns", &f.dns, file.dns}} {
		if !flags.Changed(v.flag) {
			*v.to = v.from
		}
	}
	f.sysctls = slices.Concat(file.sysctls, f.sysctls) // the last of two is the one that stays
	for _, v := range []struct {
		flag string
		to   *string
		from string
	}{{"control", &c.control, file.control}, {"log-level", &f.logLevel, file.logLevel}, {"log-format", &f.logFormat, file.logFormat}} {
		if !flags.Changed(v.flag) && v.from != "" {
			*v.to = v.from
		}
	}
	return nil
}

// configFile is what a file says, in the words of the flags.
type configFile struct {
	links, routes, sysctls, services, dns []string
	control, logLevel, logFormat          string
}

// configReader reads a file's nodes. Its first error is told with the line.
type configReader struct {
	name string
	err  error
}

// parseConfig reads the text of the file called name.
func parseConfig(name string, text []byte) (f configFile, err error) {
	r := &configReader{name: name}
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return f, nil // nothing but comments
	} else if err != nil {
		text := strings.TrimPrefix(err.Error(), "yaml: ")
		if line, rest, ok := strings.Cut(strings.TrimPrefix(text, "line "), ": "); ok && line != text {
			text = line + ": " + rest
		}
		return f, usage("%s:%s", name, text)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return f, usage("%s: want one document", name)
	}
	level := func(s string) func() error {
		return func() error { _, err := (&cli{err: io.Discard}).logger(s, "text"); return err }
	}
	format := func(s string) func() error {
		return func() error { _, err := (&cli{err: io.Discard}).logger("info", s); return err }
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return f, nil
	}
	r.mapping(doc.Content[0], map[string]func(*yaml.Node){
		"links":   func(n *yaml.Node) { f.links = r.items(n, linkKeys, "", parseOnly(parseLink)) },
		"routes":  func(n *yaml.Node) { f.routes = r.items(n, routeKeys, "dst", parseOnly(parseRouteFlag)) },
		"sysctls": func(n *yaml.Node) { f.sysctls = r.sysctls(n) },
		"services": func(n *yaml.Node) {
			if f.services = r.list(n); len(f.services) == 0 {
				f.services = []string{"none"}
			}
		},
		"dns":     func(n *yaml.Node) { f.dns = r.items(n, nil, "", parseOnly(parseNameServer)) },
		"control": func(n *yaml.Node) { f.control = r.scalar(n) },
		"log_level": func(n *yaml.Node) {
			f.logLevel = r.scalar(n)
			r.check(n, level(f.logLevel))
		},
		"log_format": func(n *yaml.Node) {
			f.logFormat = r.scalar(n)
			r.check(n, format(f.logFormat))
		},
	})
	return f, r.err
}

// linkKeys and routeKeys are the keys of --link and --route.
var (
	linkKeys  = []string{"name", "mac", "addr", "peer", "mtu", "queues", "offload", "gro"}
	routeKeys = []string{"dst", "via", "dev", "src", "metric"}
)

// parseOnly makes a check of a flag's parser.
func parseOnly[T any](parse func(string) (T, error)) func(string) error {
	return func(s string) error {
		_, err := parse(s)
		return err
	}
}

func (r *configReader) fail(n *yaml.Node, format string, args ...any) {
	if r.err == nil {
		r.err = usage("%s:%d: %s", r.name, n.Line, fmt.Sprintf(format, args...))
	}
}

// check tells what a flag's parser says, about a line instead of a flag.
func (r *configReader) check(n *yaml.Node, f func() error) {
	if r.err != nil {
		return
	}
	if err := f(); err != nil {
		r.fail(n, "%s", strings.TrimPrefix(err.Error(), "--"))
	}
}

// resolve returns what an alias stands for.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// mapping calls the function of each key. What has none is refused, and so is a key
// that is there twice.
func (r *configReader) mapping(n *yaml.Node, keys map[string]func(*yaml.Node)) {
	n = resolve(n)
	if n.Kind != yaml.MappingNode {
		r.fail(n, "want a mapping: KEY: VALUE")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content) && r.err == nil; i += 2 {
		key := n.Content[i]
		f := keys[key.Value]
		switch {
		case f == nil:
			var names []string
			for k := range keys {
				names = append(names, k)
			}
			slices.Sort(names)
			r.fail(key, "there is no key %q: want one of %s", key.Value, strings.Join(names, ", "))
		case seen[key.Value]:
			r.fail(key, "%s is there twice", key.Value)
		default:
			seen[key.Value] = true
			f(resolve(n.Content[i+1]))
		}
	}
}

// scalar returns a value as it is written: "off" is a word, not false.
func (r *configReader) scalar(n *yaml.Node) string {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		r.fail(n, "want a value")
		return ""
	}
	return n.Value
}

// list returns the values of a sequence, or the one that there is instead.
func (r *configReader) list(n *yaml.Node) []string {
	n = resolve(n)
	if n.Kind != yaml.SequenceNode {
		return []string{r.scalar(n)}
	}
	var list []string
	for _, v := range n.Content {
		list = append(list, r.scalar(v))
	}
	return list
}

// items returns what a flag takes for each item: a word as it is, or a mapping with
// some keys, of which first goes in front without its name.
func (r *configReader) items(n *yaml.Node, keys []string, first string, check func(string) error) (list []string) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, "want a list: - ITEM")
		return nil
	}
	for _, item := range n.Content {
		item = resolve(item)
		s := ""
		if item.Kind == yaml.MappingNode && keys != nil {
			s = r.joined(item, keys, first)
		} else {
			s = r.scalar(item)
		}
		r.check(item, func() error { return check(s) })
		list = append(list, s)
	}
	return list
}

// joined returns a mapping as a flag's value.
func (r *configReader) joined(n *yaml.Node, keys []string, first string) string {
	var head string
	var parts []string
	known := map[string]func(*yaml.Node){}
	for _, key := range keys {
		known[key] = func(v *yaml.Node) {
			for _, s := range r.list(v) {
				switch {
				case strings.Contains(s, ","):
					r.fail(v, "%s: %q has a comma", key, s)
				case key == first:
					head = s
				default:
					parts = append(parts, key+"="+s)
				}
			}
		}
	}
	r.mapping(n, known)
	if first != "" {
		if head == "" {
			r.fail(n, "want %s", first)
		}
		parts = append([]string{head}, parts...)
	}
	return strings.Join(parts, ",")
}

// sysctls returns the values of a mapping, in its order. Those that are several are
// a list or have blanks between.
func (r *configReader) sysctls(n *yaml.Node) (list []string) {
	if n.Kind != yaml.MappingNode {
		r.fail(n, "want a mapping: net.ipv4.ip_forward: 1")
		return nil
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i].Value
		if seen[key] {
			r.fail(n.Content[i], "%s is there twice", key)
		}
		seen[key] = true
		v := key + "=" + strings.Join(r.list(n.Content[i+1]), " ")
		r.check(n.Content[i], func() error { return parseOnly(parseSysctlFlag)(v) })
		list = append(list, v)
	}
	return list
}
