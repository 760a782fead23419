package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// raceReporter runs the tests and then prints the data races that the programs which they started have found: whole, after
// everything else, and also of a gateway that was killed, whose exit status says nothing. The tests fail then.
type raceReporter struct {
	m  testscript.TestingM
	to io.Writer
}

// Run implements testscript.TestingM.
func (r raceReporter) Run() int {
	dir, err := os.MkdirTemp("", "races")
	if err != nil {
		fmt.Fprintln(os.Stderr, "make a directory for reports of data races:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	// Programs of other users write their reports there too.
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil { // #nosec G302 -- a temporary directory, as /tmp is one
		fmt.Fprintln(os.Stderr, "make a directory for reports of data races:", err)
		return 1
	}
	// This process has read its own options at its start: its own tests report where they fail.
	if err := os.Setenv("GORACE", raceOptions(os.Getenv("GORACE"), dir)); err != nil {
		fmt.Fprintln(os.Stderr, "set GORACE:", err)
		return 1
	}
	code := r.m.Run()
	found := raceReports(dir)
	if len(found) == 0 {
		return code
	}
	_, _ = fmt.Fprintf(r.to, "\nDATA RACES in programs that the tests started:\n%s", found)
	return max(code, 1)
}

// raceOptions adds to the race detector's options that a program writes its reports into files of a directory, one a process.
// See https://go.dev/doc/articles/race_detector.
func raceOptions(options, dir string) string {
	return strings.TrimSpace(options + " log_path=" + filepath.Join(dir, "race"))
}

// raceReports is what the files of a directory say, one after the other.
func raceReports(dir string) []byte {
	names, _ := filepath.Glob(filepath.Join(dir, "race.*"))
	var all bytes.Buffer
	for _, name := range names {
		text, err := os.ReadFile(name) // #nosec G304 -- of the tests' own directory
		if err != nil {
			text = []byte(err.Error() + "\n")
		}
		fmt.Fprintf(&all, "%s:\n%s\n", filepath.Base(name), text)
	}
	return all.Bytes()
}

type testRun func() int

func (r testRun) Run() int { return r() }

// A run of tests fails for a race of a program that it started, even where no test does.
func TestRacesOfStartedProgramsFailTheRun(t *testing.T) {
	t.Setenv("GORACE", "halt_on_error=1")
	var said bytes.Buffer
	code := raceReporter{testRun(func() int {
		options := os.Getenv("GORACE")
		if !strings.HasPrefix(options, "halt_on_error=1 log_path=") {
			t.Errorf("GORACE is %q", options)
		}
		_, path, _ := strings.Cut(options, "log_path=")
		if err := os.WriteFile(path+".1234", []byte("WARNING: DATA RACE\n"), 0o600); err != nil {
			t.Error(err)
		}
		return 0
	}), &said}.Run()
	if code == 0 || !strings.Contains(said.String(), "race.1234:\nWARNING: DATA RACE\n") {
		t.Errorf("a run with a race ended with %d and said %q", code, said.String())
	}
	said.Reset()
	if code := (raceReporter{testRun(func() int { return 0 }), &said}).Run(); code != 0 || said.Len() > 0 {
		t.Errorf("a run without a race ended with %d and said %q", code, said.String())
	}
}
