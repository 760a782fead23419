package command

import (
	"bytes"
	"context"
	"io"
	"path"
	"slices"
	"strings"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/config"
	"shannot-gateway/targets"
)

// What people type who do not know the gateway: words of other tools, names of targets, programs that need a terminal. Each is
// answered at once with what to type instead. As a command it would wait for a human who can do nothing with it, or hang.

// undoWords are first words of lines that ask for a rollback.
var undoWords = []string{"undo", "restore", "revert"}

// shells are programs that somebody types who wants a shell.
var shells = []string{"sh", "bash", "dash", "zsh", "fish", "ksh"}

// atTerminals are programs that work at a terminal alone, and what does instead.
var atTerminals = map[string]render.Words{
	"vi": editing, "vim": editing, "nvim": editing, "nano": editing, "pico": editing, "emacs": editing, "mcedit": editing, "joe": editing,
	"visudo": editing, "vipw": editing, "sudoedit": editing, "top": "type: top -b -n 1", "htop": "type: top -b -n 1", "screen": staying, "tmux": staying,
}

const (
	editing render.Words = "to read, type: cat FILE; to change, run a script that writes the file, or scp FILE HOST:/TARGET/PATH, which a human approves"
	staying render.Words = "what runs goes on when its client leaves; come back with: wait ID"
)

// instead answers a line that is no verb and no command either, and reports whether it was one.
func instead(ctx context.Context, v *Verbs, c *Call) (status int, was bool) {
	words, err := split(c.Line)
	if err != nil || len(words) == 0 || slices.ContainsFunc(words, func(w word) bool { return w.operator }) {
		return 0, false
	}
	first, rest := words[0].text, texts(words[1:])
	program := needsTerminal(first, rest)
	switch {
	case slices.Contains(undoWords, first) && len(rest) <= 1:
		c.insteadOfUndo(first, rest)
	case first == "history" && len(rest) == 0:
		c.notice("history is a shell's, and there is none; for your sessions, type: list --all")
	case (first == "python3" || first == "python") && len(rest) > 0 && isScriptHere(rest[0]):
		c.notice("%s would be a file of the target; for one of yours, type: ssh HOST python3 - < %s (several files: help python3)", render.Line(rest[0]), render.Line(path.Base(rest[0])))
	case slices.Contains(shells, first) && (len(rest) == 0 || slices.Equal(rest, []string{"-l"}) || slices.Equal(rest, []string{"-i"})) && (c.Terminal != nil || !v.Config.Shell.Enabled && c.saysNothing()):
		c.notice("there is no shell to type into; type: ssh HOST COMMAND, or for a Python prompt: ssh -t HOST python3")
	case program != "":
		c.notice("%s needs a terminal, which commands do not have; %s", program, atTerminals[program])
	case isTarget(v, c, first) && !isProgram(ctx, v, c, first):
		if len(rest) == 0 {
			c.notice("%s is a target; for a command there, type: exec --target %s -- COMMAND", render.Line(first), render.Line(first))
		} else {
			c.notice("%s is a target; type: exec --target %s -- %s", render.Line(first), render.Line(first), shortenedText(strings.TrimSpace(c.Line[words[0].end:])))
		}
	default:
		return 0, false
	}
	return ExitUsage, true
}

// insteadOfUndo says how to undo something.
func (c *Call) insteadOfUndo(word string, rest []string) {
	id := "ID"
	if len(rest) == 1 {
		if clean, err := cleanID(rest[0]); err == nil {
			id = clean
		}
	}
	if c.Identity.Role == journal.Agent {
		c.notice("%s is not a verb; an approver undoes a session's changes of files: have your user ask one to type: rollback %s", word, id)
		return
	}
	c.notice("%s is not a verb; to undo a session's changes of files, type: rollback %s", word, id)
}

// isScriptHere reports whether a word names a Python script in the directory of whoever types it.
func isScriptHere(name string) bool {
	return strings.HasSuffix(name, ".py") && !strings.HasPrefix(name, "/") && !strings.HasPrefix(name, "-")
}

// needsTerminal is the program of a line that needs a terminal, "" for none.
func needsTerminal(first string, rest []string) string {
	if first == "sudo" && len(rest) > 0 {
		first, rest = rest[0], rest[1:]
	}
	switch name := path.Base(first); {
	case atTerminals[name] == "":
	case name == "top" && slices.ContainsFunc(rest, func(w string) bool { return strings.HasPrefix(w, "-") && strings.Contains(w, "b") }):
	case slices.ContainsFunc(rest, func(w string) bool { return w == "--version" || w == "--help" || w == "-V" || w == "-h" }):
	case (name == "vi" || name == "vim" || name == "nvim" || name == "emacs") && slices.ContainsFunc(rest, func(w string) bool {
		return w == "-es" || w == "-e" || w == "-c" || w == "--batch" || w == "--headless"
	}):
	case (name == "tmux" || name == "screen") && len(rest) > 0:
	default:
		return name
	}
	return ""
}

// saysNothing reports whether a client's input has ended without a byte. It waits for the input.
func (c *Call) saysNothing() bool {
	if c.Stdin == nil {
		return true
	}
	first := make([]byte, 1)
	n, err := c.Stdin.Read(first)
	if n == 0 && err != nil {
		return true
	}
	c.Stdin = io.MultiReader(bytes.NewReader(first[:n]), c.Stdin)
	return false
}

// isTarget reports whether a word is the name of a target that the caller may use, or of a group.
func isTarget(v *Verbs, c *Call, name string) bool {
	_, group := v.Config.Groups[name]
	return group || name != config.LocalTarget && slices.Contains(c.Targets, name)
}

// isProgram reports whether the gateway's host has a program of a name: then the line is a command.
func isProgram(ctx context.Context, v *Verbs, c *Call, name string) bool {
	at := slices.IndexFunc(v.Targets, func(t targets.Target) bool { return t.Name() == config.LocalTarget })
	if at < 0 || !slices.Contains(c.Targets, config.LocalTarget) {
		return false
	}
	_, err := v.Targets[at].Resolve(ctx, name, "/")
	return err == nil
}

// maxInstead is how much of a line is repeated, in terminal cells.
const maxInstead = 200

func shortenedText(line string) render.Text {
	shown, _ := render.Fit(render.Line(line), maxInstead)
	return shown
}
