package main

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tapstack/tapstack/neighbour"
	"github.com/tapstack/tapstack/stack/control"
)

// completeTimeout is how long the shell waits for the host at most.
const completeTimeout = time.Second

// complete gives the commands below root completions: the words that their usage
// tells of, with the devices, neighbours and parameters of the running host.
func (c *cli) complete(root *cobra.Command) {
	for _, cmd := range root.Commands() {
		c.complete(cmd)
		if cmd.ValidArgsFunction == nil && cmd.RunE != nil && cmd.Args != nil {
			g := usageGrammar(cmd.Use)
			cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
				return c.completions(cmd.Context(), g, args, begun)
			}
		}
		if f := cmd.Flags().Lookup("interface"); f != nil {
			// The only error is that there is one already.
			_ = cmd.RegisterFlagCompletionFunc("interface", func(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
				return c.values(cmd.Context(), "DEV", ""), cobra.ShellCompDirectiveNoFileComp
			})
		}
	}
}

// grammar is what a usage line says about a command's words.
type grammar struct {
	keywords []string
	values   map[string]string // what a keyword has behind it: DEV, or on|off
	free     []string          // what stands alone
}

// usageGrammar reads a usage line such as "get IP dev DEV": words in small letters
// are to be written as they are.
func usageGrammar(use string) (g grammar) {
	g.values = map[string]string{}
	text := strings.NewReplacer("[=VALUE]", "", "[", " [ ", "]", " ] ", "{", " { ", "}", " } ", "...", " ").Replace(use)
	keyword := ""
	for i, w := range strings.Fields(text) {
		switch {
		case i == 0 || strings.HasPrefix(w, "-"):
			keyword = ""
		case strings.Trim(w, "[]{}|") == "":
			if w != "[" { // a value may be in parentheses of its own
				keyword = ""
			}
		case w != strings.ToLower(w) || strings.Contains(w, "|"):
			if keyword != "" {
				g.values[keyword] = w
			} else {
				g.free = append(g.free, strings.Split(w, "|")...)
			}
			keyword = ""
		default:
			keyword = w
			if !slices.Contains(g.keywords, w) {
				g.keywords = append(g.keywords, w)
			}
		}
	}
	return g
}

// completions returns what may come behind args, of which begun is the beginning.
func (c *cli) completions(ctx context.Context, g grammar, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	var list []string
	directive := cobra.ShellCompDirectiveNoFileComp
	if len(args) > 0 && g.values[args[len(args)-1]] != "" {
		kind := g.values[args[len(args)-1]]
		if kind == "FILE" {
			return nil, cobra.ShellCompDirectiveDefault
		}
		list = c.values(ctx, kind, begun)
	} else {
		for _, kind := range g.free {
			if kind == "KEY" {
				directive |= cobra.ShellCompDirectiveNoSpace // '=' may follow
			}
			list = append(list, c.values(ctx, kind, begun)...)
		}
		for _, w := range g.keywords {
			if !slices.Contains(args, w) {
				list = append(list, w)
			}
		}
	}
	list = slices.DeleteFunc(list, func(s string) bool { return !strings.HasPrefix(s, begun) })
	return slices.Compact(list), directive
}

// values returns what there is of a kind, none when no host answers.
func (c *cli) values(ctx context.Context, kind, begun string) (list []string) {
	if ctx == nil {
		ctx = context.Background()
	}
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	client := c.client()
	defer client.Close()
	switch kind {
	case "DEV":
		var links []control.Link
		if client.Get(ctx, "link", nil, &links) != nil {
			return nil
		}
		for _, l := range links {
			list = append(list, l.Name)
		}
	case "IP", "ADDR", "ADDR/LEN", "HOST", "PREFIX":
		var neighbours []control.Neighbour
		if client.Get(ctx, "neigh", url.Values{"nud": {"all"}}, &neighbours) != nil {
			return nil
		}
		for _, n := range neighbours {
			list = append(list, n.Dst.String())
		}
		slices.Sort(list)
	case "STATE":
		for _, s := range neighbour.States() {
			list = append(list, strings.ToLower(s.String()))
		}
	case "KEY":
		var all []control.Sysctl
		if client.Get(ctx, "sysctl", nil, &all) != nil {
			return nil
		}
		for _, v := range all {
			list = append(list, v.Name)
		}
		return nextLevel(list, begun)
	case "MAC", "N", "NAME", "P", "SCOPE", "TYPE", "VALUE", "PORT", "COUNT":
	default:
		if strings.Contains(kind, "|") && kind == strings.ToLower(kind) {
			list = strings.Split(kind, "|")
		}
	}
	return list
}

// nextLevel shortens names that begin with begun to the directory that they are in,
// as long as there are several: thousands of names are no help.
func nextLevel(names []string, begun string) (list []string) {
	for _, n := range names {
		if !strings.HasPrefix(n, begun) {
			continue
		}
		if i := strings.IndexByte(n[len(begun):], '.'); i >= 0 {
			n = n[:len(begun)+i+1]
		}
		if !slices.Contains(list, n) {
			list = append(list, n)
		}
	}
	if len(list) == 1 && strings.HasSuffix(list[0], ".") && list[0] != begun {
		return nextLevel(names, list[0])
	}
	return list
}
