package main

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/tapstack/tapstack/stack/control"
)

// ssFilter says which sockets are shown.
type ssFilter struct {
	families []string
	states   map[string]bool
	expr     func(control.Socket) bool // nil: all
}

func (f ssFilter) has(k control.Socket) bool {
	return slices.Contains(f.families, k.Netid) && f.states[k.State] && (f.expr == nil || f.expr(k))
}

// parseSSFilter reads the words behind the flags: states, then an expression.
func parseSSFilter(o ssOptions, args []string) (f ssFilter, err error) {
	f.families = o.families()
	t := ssTokens{list: ssSplit(strings.Join(args, " "))}
	for t.peek() == "state" || t.peek() == "exclude" {
		verb, name := t.next(), t.next()
		states, ok := ssStates[name]
		if !ok {
			return f, as(usage("ss: wrong state name: %s", name), ipUsage, "ss: wrong state name: %s", name)
		}
		if f.states == nil {
			f.states = map[string]bool{}
			if verb == "exclude" {
				f.states = ssSet(ssStates["all"])
			}
		}
		for _, s := range states {
			if verb == "state" {
				f.states[s] = true
			} else {
				delete(f.states, s)
			}
		}
	}
	switch {
	case f.states != nil:
	case o.all:
		f.states = ssSet(ssStates["all"])
	case o.listening:
		f.states = ssSet([]string{"LISTEN", "UNCONN"})
	default:
		f.states = ssSet(ssStates["connected"])
		delete(f.states, "TIME-WAIT")
		delete(f.states, "SYN-RECV")
	}
	if t.peek() == "" {
		return f, nil
	}
	if f.expr, err = t.or(); err == nil && t.peek() != "" {
		err = usage("ss: %q is not understood", t.peek())
	}
	return f, err
}

func ssSet(list []string) map[string]bool {
	m := map[string]bool{}
	for _, s := range list {
		m[s] = true
	}
	return m
}

// ssSplit splits an expression into words, parentheses and operators.
func ssSplit(s string) (list []string) {
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		n := 0
		for _, op := range []string{"&&", "||", "==", "!=", "<=", ">=", "(", ")", "=", "<", ">", "!", "&", "|"} {
			if strings.HasPrefix(s, op) {
				n = len(op)
				break
			}
		}
		if n == 0 {
			if n = strings.IndexAny(s, " \t\n()=<>!&|"); n < 0 {
				n = len(s)
			}
		}
		list = append(list, s[:n])
		s = s[n:]
	}
	return list
}

// ssTokens are the words of an expression, being read.
type ssTokens struct{ list []string }

func (t *ssTokens) peek() string {
	if len(t.list) == 0 {
		return ""
	}
	return t.list[0]
}

func (t *ssTokens) next() string {
	s := t.peek()
	t.list = t.list[min(1, len(t.list)):]
	return s
}

// take reports whether one of words comes next, and takes it.
func (t *ssTokens) take(words ...string) bool {
	ok := t.peek() != "" && slices.Contains(words, t.peek())
	if ok {
		t.next()
	}
	return ok
}

func (t *ssTokens) or() (func(control.Socket) bool, error) {
	a, err := t.and()
	for err == nil && t.take("or", "|", "||") {
		var b func(control.Socket) bool
		left := a
		if b, err = t.and(); err == nil {
			a = func(k control.Socket) bool { return left(k) || b(k) }
		}
	}
	return a, err
}

// and reads what is joined by and, or by nothing.
func (t *ssTokens) and() (func(control.Socket) bool, error) {
	a, err := t.not()
	for err == nil && t.peek() != "" && !slices.Contains([]string{"or", "|", "||", ")"}, t.peek()) {
		t.take("and", "&", "&&")
		var b func(control.Socket) bool
		left := a
		if b, err = t.not(); err == nil {
			a = func(k control.Socket) bool { return left(k) && b(k) }
		}
	}
	return a, err
}

func (t *ssTokens) not() (func(control.Socket) bool, error) {
	if t.take("not", "!") {
		a, err := t.not()
		return func(k control.Socket) bool { return !a(k) }, err
	}
	if t.take("(") {
		a, err := t.or()
		if err == nil && !t.take(")") {
			err = usage("ss: a parenthesis is not closed")
		}
		return a, err
	}
	return t.comparison()
}

// ssOperators are the comparisons by what they say about cmp.Compare's result.
var ssOperators = map[string]func(int) bool{
	"=": func(n int) bool { return n == 0 }, "!=": func(n int) bool { return n != 0 },
	"<": func(n int) bool { return n < 0 }, "<=": func(n int) bool { return n <= 0 },
	">": func(n int) bool { return n > 0 }, ">=": func(n int) bool { return n >= 0 },
}

// ssAliases are other spellings of operators.
var ssAliases = map[string]string{
	"==": "=", "eq": "=", "ne": "!=", "neq": "!=", "lt": "<", "le": "<=", "leq": "<=", "gt": ">", "ge": ">=", "geq": ">=",
}

// operator takes an operator; there is one without words too.
func (t *ssTokens) operator() string {
	op := t.peek()
	if a := ssAliases[op]; a != "" {
		op = a
	}
	if ssOperators[op] == nil {
		return "="
	}
	t.next()
	return op
}

func (t *ssTokens) comparison() (func(control.Socket) bool, error) {
	subject := t.next()
	switch subject {
	case "":
		return nil, usage("ss: the expression is not complete")
	case "src", "dst":
		op := t.operator()
		return ssAddress(subject == "src", ssOperators[op], op, t.next())
	case "sport", "dport":
		op := t.operator()
		word := t.next()
		port, err := ssPort(word[strings.LastIndex(word, ":")+1:])
		if err != nil {
			return nil, err
		}
		return func(k control.Socket) bool {
			return ssOperators[op](cmp.Compare(side(k, subject == "sport").Port(), port))
		}, nil
	case "dev":
		op := t.operator()
		dev := t.next()
		if dev == "" || op != "=" && op != "!=" {
			return nil, usage("ss: dev wants = or != and a device")
		}
		return func(k control.Socket) bool { return (k.Dev == dev) == (op == "=") }, nil
	case "fwmark", "cgroup", "autobound":
		return nil, usage("ss: %s does not exist here", subject)
	}
	// An address alone is one of the peer's.
	return ssAddress(false, ssOperators["="], "=", subject)
}

// side returns a socket's own end or its peer's.
func side(k control.Socket, local bool) netip.AddrPort {
	if local {
		return k.Local
	}
	return k.Remote
}

// ssAddress reads ADDR[/LEN][:PORT], where either may be left out or be '*'.
func ssAddress(local bool, compare func(int) bool, op, word string) (func(control.Socket) bool, error) {
	host, port := word, ""
	if i := strings.LastIndexByte(word, ':'); i >= 0 {
		host, port = word[:i], word[i+1:]
	}
	var prefix netip.Prefix
	if host != "" && host != "*" {
		var err error
		if prefix, err = parsePrefix(host); err != nil || host == "default" {
			return nil, as(usage("ss: %q is no address", word), ipFailed, "Error: an inet prefix is expected rather than %q.\nCannot parse dst/src address.", word)
		}
	}
	if word == "" {
		return nil, usage("ss: want an address")
	}
	var n uint16
	if port != "" && port != "*" {
		var err error
		if n, err = ssPort(port); err != nil {
			return nil, err
		}
	} else {
		port = ""
	}
	if op != "=" && op != "!=" {
		if prefix.IsValid() || port == "" {
			return nil, usage("ss: addresses are equal or not, %s says nothing about them", op)
		}
		return func(k control.Socket) bool { return compare(cmp.Compare(side(k, local).Port(), n)) }, nil
	}
	return func(k control.Socket) bool {
		a := side(k, local)
		same := (!prefix.IsValid() || prefix.Contains(a.Addr())) && (port == "" || a.Port() == n)
		return same == (op == "=")
	}, nil
}

// ssPort reads a port's number or name.
func ssPort(s string) (uint16, error) {
	n, err := net.LookupPort("tcp", s)
	if err != nil {
		n, err = net.LookupPort("udp", s)
	}
	if err != nil || s == "" {
		return 0, usage("ss: %q is not a port", s)
	}
	return uint16(n), nil
}
