package config_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"shannot-gateway/gateway/config"
)

// A configuration means the same wherever the program is started.
func TestTheStateDirectoryStartsAtTheFilesDirectory(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.toml")
	home := t.TempDir()
	t.Setenv("HOME", home)
	for text, want := range map[string]string{
		`state = "state"`:      filepath.Join(dir, "state"),
		`state = "../state"`:   filepath.Join(filepath.Dir(dir), "state"),
		`state = "/srv/state"`: "/srv/state",
		`state = "~/state"`:    filepath.Join(home, "state"),
		``:                     config.DefaultState,
	} {
		write(t, file, text+"\n")
		c, err := config.Load(file)
		if err != nil || c.State != want {
			t.Errorf("%s: %v, %v; want %s", text, c, err, want)
		}
		write(t, file, text+"\nnonsense = 1\n") // and one that does not load
		if got := config.StateOf(file); got != want {
			t.Errorf("%s in a file that does not load: %s, want %s", text, got, want)
		}
	}
}

func TestKeysOfTheAuditLogThatDoNothingAreWarnedOf(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	write(t, file, "[audit]\npath = \"log\"\n[audit.events]\nremote = true\nfile_write = false\ncommand = true\n")
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if c.AuditDir() != filepath.Join(filepath.Dir(file), "log") {
		t.Errorf("the log is in %s", c.AuditDir())
	}
	for name, want := range map[string]bool{"remote": true, "file_write": true, "command": false} {
		if got := slices.ContainsFunc(c.Warnings, func(w string) bool { return strings.Contains(w, "[audit.events] "+name+" does nothing") }); got != want {
			t.Errorf("%s: %q", name, c.Warnings)
		}
	}
	write(t, file, "[audit]\npath = \"log\"\nlog_dir = \"other\"\n")
	if _, err := config.Load(file); err == nil || !strings.Contains(err.Error(), "leave one of them out") {
		t.Errorf("two directories: %v", err)
	}
}
