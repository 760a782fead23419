package config_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/gateway/config"
)

// What a file of keys holds never keeps a configuration from being taken up: else whoever is to lose their key would keep it.
func TestAFileOfKeysThatIsBrokenGivesNoKeyAndNoError(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "alice.keys")
	good, other := newKey(t), newKey(t)
	for name, tt := range map[string]struct {
		make func() error
		keys int
		warn string
	}{
		"good":            {func() error { return os.WriteFile(file, []byte(good+"\n# a comment\n\n"+other+" laptop\n"), 0o600) }, 2, ""},
		"emptied":         {func() error { return os.WriteFile(file, nil, 0o600) }, 0, "has no key, so that nobody can use it"},
		"removed":         {func() error { return nil }, 0, "no key of the file counts"},
		"a directory":     {func() error { return os.Mkdir(file, 0o700) }, 0, "is not a regular file"},
		"too large":       {func() error { return os.WriteFile(file, []byte(strings.Repeat(good+"\n", 20000)), 0o600) }, 0, "is larger than"},
		"a broken line":   {func() error { return os.WriteFile(file, []byte("ssh-ed25519 AAAAbroken\n"+good+"\n"), 0o600) }, 1, "line 1: it is not a public key"},
		"an option":       {func() error { return os.WriteFile(file, []byte("from=\"10.0.0.1\" "+good+"\n"+other+"\n"), 0o600) }, 1, "is not supported"},
		"a key twice":     {func() error { return os.WriteFile(file, []byte(good+"\n"+good+" again\n"), 0o600) }, 1, ""},
		"a weak key":      {func() error { return os.WriteFile(file, []byte(rsaKey(t, 1024)+"\n"+good+"\n"), 0o600) }, 1, "at least 2048 bits"},
		"arbitrary bytes": {func() error { return os.WriteFile(file, []byte("\x00\xff\x1b[2J\n"), 0o600) }, 0, "left out"},
	} {
		t.Run(name, func(t *testing.T) {
			if err := os.RemoveAll(file); err != nil {
				t.Fatal(err)
			}
			if err := tt.make(); err != nil {
				t.Fatal(err)
			}
			c := parse(t, "[identities.alice]\nrole = \"approver\"\nauthorized_keys = \""+file+"\"")
			if len(c.Identities) != 1 || len(c.Identities[0].Keys) != tt.keys {
				t.Fatalf("identities are %+v, want %d keys", c.Identities, tt.keys)
			}
			if got := strings.Join(c.Warnings, "\n"); tt.warn == "" && got != "" || !strings.Contains(got, tt.warn) {
				t.Errorf("warnings are %q, want %q", got, tt.warn)
			}
			if c.NobodyConnects() != (tt.keys == 0) {
				t.Errorf("nobody connects: %v", c.NobodyConnects())
			}
		})
	}
}

func TestAnIdentityWithoutKeysIsOneThatNobodyCanUse(t *testing.T) {
	c := parse(t, "[identities.a]\nrole = \"agent\"\nkeys = []\n[identities.b]\nrole = \"agent\"\nkeys = [\""+newKey(t)+"\"]")
	if len(c.Identities) != 2 || len(c.Identities[0].Keys) != 0 || len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0], "[identities.a] has no key") || c.NobodyConnects() {
		t.Errorf("%+v, %q", c.Identities, c.Warnings)
	}
}

// Who decides does so on every target where nothing is written of targets; a list that is there bounds them, also an empty one.
func TestTargetsOfEachRole(t *testing.T) {
	for _, tt := range []struct {
		role, targets string
		want          []string
		everywhere    bool
	}{
		{"agent", "", []string{"local"}, false},
		{"approver", "", []string{"local", "prod"}, true},
		{"admin", "", []string{"local"}, true},
		{"agent", `targets = ["prod"]`, []string{"prod"}, false},
		{"approver", `targets = ["prod"]`, []string{"prod"}, false},
		{"admin", `targets = ["prod"]`, []string{"prod"}, false},
		{"approver", `targets = ["all"]`, []string{"local", "prod"}, false},
		{"approver", `targets = []`, []string{}, false},
		{"admin", `targets = []`, []string{}, false},
	} {
		c := parse(t, "[identities.a]\nrole = \""+tt.role+"\"\nkeys = [\""+newKey(t)+"\"]\n"+tt.targets+"\n[groups]\nall = [\"local\", \"prod\"]\n[remotes.prod]\nhost = \"h\"\nuser = \"u\"")
		if id := c.Identities[0]; id.Role != journal.Role(tt.role) || !slices.Equal(id.Targets, tt.want) || id.Everywhere != tt.everywhere {
			t.Errorf("%s with %q: %q, everywhere %v", tt.role, tt.targets, id.Targets, id.Everywhere)
		}
	}
}

func TestStateOfAFileThatDoesNotLoad(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"listen = \nstate = \"/s/one\" # comment\n[limits\n": "/s/one",
		"[x]\nstate = \"/s/two\"\n":                          config.DefaultState,
		"state = broken\n":                                   config.DefaultState,
		"statement = \"/s\"\n  state=\"/s/three\"\n":         "/s/three",
		"": config.DefaultState,
	} {
		file := filepath.Join(dir, "c.toml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := config.StateOf(file); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := config.StateOf(filepath.Join(dir, "none")); got != config.DefaultState {
		t.Errorf("no file: %q", got)
	}
}
