package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestATargetIsAddedByOneWord(t *testing.T) {
	for place, want := range map[string]string{
		"ops@prod.example.com":      "ops@prod.example.com port 22,",
		"ops@prod.example.com:2222": "ops@prod.example.com port 2222,",
		"prod.example.com:2222":     "@prod.example.com port 2222,",
		"a@b@prod":                  "a@b@prod port 22,",
		"ops@[2001:db8::1]:2222":    "ops@2001:db8::1 port 2222,",
		"ops@2001:db8::1":           "ops@2001:db8::1 port 22,",
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "config.toml")
		if err := os.WriteFile(file, []byte("listen = \"127.0.0.1:0\"\nstate = \"state\"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if status, _, stderr := said(t, "targets", "add", "prod", place, "--config", file); status != exitOK {
			t.Errorf("%s: %d, %s", place, status, stderr)
			continue
		}
		if _, list, _ := said(t, "targets", "list", "--config", file); !strings.Contains(list, want) {
			t.Errorf("%s became %q, want %q", place, list, want)
		}
	}
	for line, want := range map[string]string{
		"add prod ops@":                  "names no host",
		"add prod @prod":                 "no account",
		"add prod ops@prod:ssh":          "the port is a number",
		"add prod ops@prod:0":            "the port is a number",
		"add prod ops@prod:22 --port 23": "given once",
		"add prod ops@prod --host x":     "say it once",
		"add prod ops@prod --user x":     "say it once",
		"add prod ops@prod more":         `what is "more" for?`,
	} {
		if status, _, stderr := said(t, append([]string{"targets"}, strings.Split(line, " ")...)...); status != exitUsage || !strings.Contains(stderr, want) {
			t.Errorf("%s: %d, %q; want %q", line, status, stderr, want)
		}
	}
}

func TestServeSaysWhichConfigurationItLookedFor(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", home)
	name, err := defaultConfig()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(name); err == nil {
		t.Skipf("there is a configuration, %s", name)
	}
	status, _, stderr := said(t, "serve", "--state", t.TempDir())
	if status != exitFailure || !strings.Contains(stderr, "there is no configuration: "+name+" does not exist") {
		t.Errorf("%d, %q", status, stderr)
	}
}

// Everything else would be looked at by values that are not the operator's.
func TestDoctorReportsABrokenConfigurationAlone(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(file, []byte("state = \"state\"\nlimtis = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr := said(t, "doctor", "--config", file)
	lines := strings.Split(strings.TrimSpace(stdout), "\n")
	if status != exitFailure || len(lines) != 2 || !strings.HasPrefix(lines[0], "FAIL configuration: ") || !strings.HasPrefix(lines[1], "ok   gateway: none runs") {
		t.Errorf("%d, %q, %q", status, stdout, stderr)
	}
}
