package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func (c *cli) docsCommand() *cobra.Command {
	docs := &cobra.Command{
		Use: "docs", Short: "Write documentation", Example: "  tapstack docs man /usr/local/share/man/man1",
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("docs: there is no %q, only man", args[0])
			}
			return cmd.Help()
		},
	}
	docs.AddCommand(&cobra.Command{
		Use: "man [DIR]", Short: "Write a man page for every command",
		Example: "  tapstack docs man /tmp/man && man /tmp/man/tapstack-neigh.1",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) > 0 {
				dir = args[0]
			}
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			return writeManPages(cmd.Root(), dir)
		},
	})
	return docs
}

// helpCommand is help, which knows what it does not know.
func (c *cli) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]...", Short: "Say what a command does",
		Example: "  tapstack help\n  tapstack help neigh add",
		Args:    cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			target, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usage("help: there is no command %q; see `tapstack help`", strings.Join(args, " "))
			}
			target.InitDefaultHelpFlag()
			return target.Help()
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, begun string) (list []string, d cobra.ShellCompDirective) {
			target, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			for _, sub := range target.Commands() {
				if sub.IsAvailableCommand() && strings.HasPrefix(sub.Name(), begun) {
					list = append(list, sub.Name()+"\t"+sub.Short)
				}
			}
			return list, cobra.ShellCompDirectiveNoFileComp
		},
	}
}

// writeManPages writes the page of a command and those below it.
func writeManPages(cmd *cobra.Command, dir string) error {
	if cmd.Hidden || cmd.IsAdditionalHelpTopicCommand() {
		return nil
	}
	name := filepath.Join(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1")
	if err := os.WriteFile(name, manPage(cmd), 0o644); err != nil {
		return err
	}
	for _, sub := range cmd.Commands() {
		if err := writeManPages(sub, dir); err != nil {
			return err
		}
	}
	return nil
}

// manPage returns a command's page in man(7)'s macros.
func manPage(cmd *cobra.Command) []byte {
	var b bytes.Buffer
	title := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	fmt.Fprintf(&b, ".TH %s 1 \"\" tapstack\n.SH NAME\n%s \\- %s\n", strings.ToUpper(roff(title)), roff(title), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	long := cmd.Long
	if long == "" {
		long = cmd.Short + "."
	}
	b.WriteString(".SH DESCRIPTION\n")
	for para := range strings.SplitSeq(long, "\n\n") {
		if strings.HasPrefix(para, " ") || strings.Contains(para, "\n ") {
			fmt.Fprintf(&b, ".PP\n.nf\n%s\n.fi\n", roff(para)) // it is laid out already
			continue
		}
		fmt.Fprintf(&b, ".PP\n%s\n", roff(para))
	}
	if subs := cmd.Commands(); len(subs) > 0 {
		b.WriteString(".SH COMMANDS\n")
		for _, sub := range subs {
			if sub.IsAvailableCommand() {
				fmt.Fprintf(&b, ".TP\n.B %s\n%s\n", roff(sub.UseLine()), roff(sub.Short))
			}
		}
	}
	manFlags(&b, "OPTIONS", cmd.NonInheritedFlags())
	manFlags(&b, "GLOBAL OPTIONS", cmd.InheritedFlags())
	if !cmd.HasParent() {
		b.WriteString(manCommon)
	}
	if cmd.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(cmd.Example))
	}
	manSeeAlso(&b, cmd)
	return b.Bytes()
}

// manCommon is what is said once for all commands.
const manCommon = `.SH EXIT STATUS
.TP
.B 0
done
.TP
.B 1
the operation failed
.TP
.B 2
the command line makes no sense
.TP
.B 3
no host answers at the control socket
.PP
ping, arping, nc and shell have the exit codes of the tools they stand for; so has
everything that is called by the name of another tool, as inside a shell.
.SH ENVIRONMENT
.TP
.B TAPSTACK_CONTROL
path of the control socket, where \-\-control is not given
.TP
.B XDG_RUNTIME_DIR
the directory of tapstack.sock, where neither is; else /run
.TP
.B NSTAT_HISTORY
the file in which nstat remembers what it has shown
.SH FILES
.TP
.I /run/tapstack.sock
the control socket
`

// tools are the manuals of what the commands are like.
var tools = map[string]string{
	"addr": "ip-address(8)", "arping": "arping(8)", "link": "ip-link(8)", "maddress": "ip-maddress(8)", "monitor": "ip-monitor(8)",
	"nc": "nc(1)", "neigh": "ip-neighbour(8)", "nstat": "nstat(8)", "ntable": "ip-ntable(8)", "ping": "ping(8)",
	"route": "ip-route(8)", "rule": "ip-rule(8)", "shell": "ip-netns(8)", "ss": "ss(8)", "sysctl": "sysctl(8)", "tracepath": "tracepath(8)",
	"traceroute": "traceroute(8)",
}

// manSeeAlso names the pages of a command's parent, of those below it, and of the
// tool that it is like.
func manSeeAlso(b *bytes.Buffer, cmd *cobra.Command) {
	var pages []string
	page := func(c *cobra.Command) string { return strings.ReplaceAll(c.CommandPath(), " ", "-") + "(1)" }
	if cmd.HasParent() {
		pages = append(pages, page(cmd.Parent()))
	}
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() && !sub.IsAdditionalHelpTopicCommand() {
			pages = append(pages, page(sub))
		}
	}
	for c := cmd; c.HasParent(); c = c.Parent() {
		if t := tools[c.Name()]; t != "" && !c.Parent().HasParent() {
			pages = append(pages, t)
		}
	}
	if len(pages) > 0 {
		fmt.Fprintf(b, ".SH SEE ALSO\n%s\n", roff(strings.Join(pages, ", ")))
	}
}

func manFlags(b *bytes.Buffer, title string, flags *pflag.FlagSet) {
	if !flags.HasAvailableFlags() {
		return
	}
	fmt.Fprintf(b, ".SH %s\n", title)
	flags.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		name := "--" + f.Name
		if f.Shorthand != "" {
			name = "-" + f.Shorthand + ", " + name
		}
		if kind, _ := pflag.UnquoteUsage(f); kind != "" {
			name += " " + kind
		}
		fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff(name), roff(f.Usage))
	})
}

// roff escapes what man(7) would take for its own.
func roff(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(s)
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
