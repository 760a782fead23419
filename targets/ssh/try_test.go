package ssh

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"shannot-gateway/targets"
	"shannot-gateway/targets/ssh/sshdtest"
)

// shells are the login shells of this machine that are sent commands.
func shells(t *testing.T) (found []string) {
	t.Helper()
	for _, name := range []string{"sh", "dash", "bash", "zsh", "ksh", "mksh", "yash", "fish", "csh", "tcsh", "bsd-csh"} {
		if at, err := exec.LookPath(name); err == nil {
			found = append(found, at)
		}
	}
	return found
}

// Every byte of an argument and of a variable reaches a command through every login shell as it is, and nothing of it is
// run: what a grammar would take for a history's event, a substitution or the end of a word is text.
func TestEveryLoginShellPassesACommandOnToTheLetter(t *testing.T) {
	dir := t.TempDir()
	marker := filepath.Join(dir, "marker")
	var all strings.Builder
	for b := 1; b < 256; b++ {
		all.WriteByte(byte(b))
	}
	words := []string{
		all.String(), "", " ", "!!", "!1", "a!b!", `\`, `\\`, `\'`, `'`, `''`, `\'; touch ` + marker + "; '", "$(touch " + marker + ")",
		"`touch " + marker + "`", "(touch " + marker + ")", "\ntouch " + marker + "\n", "%s%n%d", "-n", "~", "{a,b}", "*", "é☃", strings.Repeat(`'!\`, 3000),
	}
	want := "V=" + all.String() + "\x00" + strings.Join(words, "\x00") + "\x00"
	for _, shell := range shells(t) {
		for _, known := range []string{shell, ""} { // "" where nobody knows what it is
			c := targets.Command{
				Path: "/bin/sh", Dir: dir, Env: []string{"V=" + all.String()},
				Argv: append([]string{"sh", "-c", `printf 'V=%s\0' "$V"; printf '%s\0' "$@"`, "sh"}, words...),
			}
			text, err := line(c, known, "mark", false, nil)
			if err != nil {
				t.Fatalf("%s: %v", shell, err)
			}
			var stdout, stderr bytes.Buffer
			cmd := exec.Command(shell, "-c", text) // #nosec G204 -- a test
			cmd.Env = []string{"HOME=" + dir, "PATH=" + targets.Path}
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			if err := cmd.Run(); err != nil || stdout.String() != want {
				t.Errorf("%s, known as %q: %v, %q\n%q; want\n%q", shell, known, err, stderr.String(), stdout.String(), want)
			}
			if !strings.HasPrefix(stderr.String(), "mark ") {
				t.Errorf("%s, known as %q: on standard error %q, without the mark", shell, known, stderr.String())
			}
			if _, err := os.Lstat(marker); err == nil {
				t.Fatalf("%s, known as %q: it ran what is an argument", shell, known)
			}
		}
	}
}

// A line for csh has no word that is longer than csh takes, and a command that is too long for the target is refused here.
func TestALineForOtherShellsIsBounded(t *testing.T) {
	for _, word := range strings.Fields(throughSh(strings.Repeat("'", 100_000))) {
		if len(word) > maxQuoted+2 {
			t.Fatalf("a word of %d bytes", len(word))
		}
	}
	c := targets.Command{Path: "/bin/echo", Argv: []string{"echo", strings.Repeat("'", 40_000)}, Dir: "/"}
	if _, err := line(c, "/usr/bin/fish", "mark", false, nil); err == nil {
		t.Error("a line that no target takes")
	}
}

// The gateway's own question ends in every shell as commands do.
func TestTheProbeOfAShellTellsWhetherCommandsReachIt(t *testing.T) {
	for _, shell := range shells(t) {
		cmd := exec.Command(shell, "-c", askingCommand) // #nosec G204 -- a test
		cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + targets.Path}
		out, err := cmd.Output()
		if lines := strings.Split(string(out), "\n"); err != nil || len(lines) < 9 || lines[8] != shellProbe {
			t.Errorf("%s: %q, %v", shell, out, err)
		}
	}
	out, err := exec.Command("/bin/sh", "-c", strings.ReplaceAll(askingCommand, "exec", "echo")).Output() // #nosec G204 -- a test
	if lines := strings.Split(string(out), "\n"); err != nil || len(lines) > 8 && slices.Contains(lines[8:], shellProbe) {
		t.Errorf("a shell that only repeats it: %q, %v", out, err)
	}
}

// loggedIn is a target whose commands go to another login shell, as the account's own would take them.
func loggedIn(t *testing.T, shell string) *Target {
	t.Helper()
	target := connect(t, sshdtest.Start(t, forced(t, `exec `+shell+` -c "$SSH_ORIGINAL_COMMAND"`)))
	target.mu.Lock()
	target.facts.account.Shell = shell
	target.mu.Unlock()
	return target
}

func TestAccountsWithFishOrCshRunCommands(t *testing.T) {
	for _, name := range []string{"fish", "tcsh"} {
		t.Run(name, func(t *testing.T) {
			shell, err := exec.LookPath(name)
			if err != nil {
				t.Skipf("no %s on this machine", name)
			}
			target := loggedIn(t, shell)
			if out, errs, exit := run(t, target, sh(`echo 'a!b'; echo "\$" >&2; exit 3`)); out != "a!b\n" || errs != "$\n" || exit.Code != 3 {
				t.Errorf("%q, %q, %+v", out, errs, exit)
			}
			if printed, err := target.TryCommand(t.Context()); err != nil || printed != "" {
				t.Errorf("%q, %v", printed, err)
			}
		})
	}
}

func TestATrialTellsWhatDoesNotRunCommandsAndWhatPrints(t *testing.T) {
	for name, c := range map[string]struct {
		server  string
		printed string
		says    []string // of the error; none where commands run
	}{
		"an ordinary one":              {server: "ClientAliveInterval 0"},
		"files alone":                  {server: "ForceCommand internal-sftp", says: []string{"ForceCommand"}, printed: "This service allows sftp connections only."},
		"something else":               {server: forced(t, "echo other"), printed: "other", says: []string{"did not run what it was sent", `"other"`}},
		"a start-up file that prints":  {server: forced(t, `echo hello; exec sh -c "$SSH_ORIGINAL_COMMAND"`), printed: "hello"},
		"a start-up file without end":  {server: forced(t, `yes | head -c 1000000; exec sh -c "$SSH_ORIGINAL_COMMAND"`), printed: "y"},
		"a shell that is then no help": {server: forced(t, `sh -c "$SSH_ORIGINAL_COMMAND"; exit 3`), says: []string{"status 3"}},
	} {
		t.Run(name, func(t *testing.T) {
			printed, err := connect(t, sshdtest.Start(t, c.server)).TryCommand(t.Context())
			if printed != c.printed || (err != nil) != (len(c.says) > 0) {
				t.Fatalf("%q, %v", printed, err)
			}
			for _, want := range c.says {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%v, want %q", err, want)
				}
			}
		})
	}
}

// What an account's start-up file prints before SFTP begins is named, not taken for the length of a packet.
func TestTextBeforeSFTPIsCalledText(t *testing.T) {
	for _, text := range []string{"Welcome to prod", "\n", "\x1b[1mhello", "x"} {
		server := filepath.Join(t.TempDir(), "server")
		if err := os.WriteFile(server, []byte("#!/bin/sh\nprintf '"+text+"'\nexec /usr/lib/openssh/sftp-server\n"), 0o755); err != nil { //nolint:gosec // it is to be run
			t.Fatal(err)
		}
		forced(t, "") // skips where there is no such server
		err := newTarget(t, hopTo(sshdtest.Start(t, "ForceCommand "+server), "prod")).Connect(t.Context())
		if err == nil || !strings.Contains(err.Error(), "it sent text") || !strings.Contains(err.Error(), "start-up file") || strings.Contains(err.Error(), "bytes") || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
