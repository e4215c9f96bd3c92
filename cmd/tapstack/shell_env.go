package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// shellEnv is what an interactive shell is to begin with.
type shellEnv struct {
	dir    string // the private directory
	path   string // PATH
	prompt string // what comes before the shell's usual prompt
}

// interactive returns the command line of a shell and the variables it needs so
// that PATH and the prompt are still what they should be when the user's own files
// have been read: those often set both.
func (e shellEnv) interactive(shell string, getenv func(string) string) (args, extra []string, err error) {
	path := "PATH=" + quote(e.path) + "; export PATH\n"
	file := func(name, text string) string {
		name = filepath.Join(e.dir, name)
		if err == nil {
			err = os.WriteFile(name, []byte(text), 0o600)
		}
		return name
	}
	switch filepath.Base(shell) {
	case "bash":
		rc := file(".bashrc", "[ -r ~/.bashrc ] && . ~/.bashrc\n"+path+"PS1="+quote(e.prompt)+"$PS1\n")
		return []string{shell, "--rcfile", rc}, nil, err
	case "zsh":
		old := getenv("ZDOTDIR")
		if old == "" {
			old = getenv("HOME")
		}
		file(".zshrc", "ZDOTDIR="+quote(old)+"\n[ -r \"$ZDOTDIR/.zshrc\" ] && . \"$ZDOTDIR/.zshrc\"\n"+
			path+"PS1="+quote(strings.ReplaceAll(e.prompt, "%", "%%"))+"$PS1\n")
		return []string{shell}, []string{"ZDOTDIR=" + e.dir}, err
	case "fish":
		init := "set -gx PATH " + quote(e.dir) + " $PATH; functions -c fish_prompt tapstack_prompt; " +
			"function fish_prompt; echo -n " + quote(e.prompt) + "; tapstack_prompt; end"
		return []string{shell, "--init-command", init}, nil, nil
	}
	// The POSIX shells read the file that ENV names.
	text := path + "PS1=" + quote(e.prompt+"$ ") + "\n"
	if old := getenv("ENV"); old != "" {
		text = fmt.Sprintf("ENV=%s; export ENV\n[ -r \"$ENV\" ] && . \"$ENV\"\n", quote(old)) + text
	}
	return []string{shell}, []string{"ENV=" + file(".shrc", text)}, err
}

// quote makes one word of s for a shell.
func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
