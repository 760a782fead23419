package config_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/gateway/config"
	"shannot-gateway/hostkeys"
	"shannot-gateway/vfs"
)

// newKey returns a fresh public key as a line of authorized_keys, without a comment.
func newKey(tb testing.TB) string {
	tb.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	k, err := ssh.NewPublicKey(public)
	if err != nil {
		tb.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
}

func parse(tb testing.TB, text string) *config.Config {
	tb.Helper()
	c, err := config.Parse([]byte(text), "")
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestEmptyFileIsTheDefaults(t *testing.T) {
	c := parse(t, "")
	if c.Listen != "127.0.0.1:2222" || c.State != "/var/lib/shannot-gateway" || len(c.Identities) != 0 {
		t.Errorf("got %q %q %v", c.Listen, c.State, c.Identities)
	}
	if c.Limits != config.DefaultLimits() {
		t.Errorf("limits are %+v", c.Limits)
	}
	if !slices.Equal(c.HostKeys, []hostkeys.Type{hostkeys.Ed25519}) || !c.Audit.Enabled || c.Audit.MaxFiles != 30 || c.AuditDir() != "/var/lib/shannot-gateway/audit" {
		t.Errorf("got %v %+v", c.HostKeys, c.Audit)
	}
	if c.Retention != (config.Retention{Sessions: 10_000, SessionsPerIdentity: 10_000, BytesPerIdentity: 8 << 30}) {
		t.Errorf("retention is %+v", c.Retention)
	}
	if !slices.Contains(c.Files.Hide, "/etc/shadow") || !slices.Contains(c.Files.Hide, c.State) {
		t.Errorf("hide is %q", c.Files.Hide)
	}
}

func TestEveryKeyOfTheDesignLoads(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "config.toml")
	text := fmt.Sprintf(`
listen = "127.0.0.1:0"
state  = %q
[identities.claude]
role = "agent"
keys = [%q]
targets = ["local", "prod"]
[identities.alice]
role = "approver"
authorized_keys = "alice.keys"
[profile]
auto_approve = ["ls", "systemctl status"]
always_deny  = ["mkfs"]
[files]
read = ["/etc"]
hide = ["/etc/private"]
scratch = ["/tmp"]
[limits]
wall = "1m"
lifetime = "3h"
cpu = "0"
memory = "1GiB"
output = 0
script = "2MiB"
write = "50MB"
checkpoint = "1GiB"
processes = 4
threads = 32
files = 256
nodes = 1000
calls = 0
operations = 5
hold = "30s"
expire = "7d"
grant = "1h"
sessions = 3
sessions_per_identity = 2
queue = "5s"
uploads = 7
uploads_per_identity = 6
[local]
run_as = "ops"
[audit]
enabled = false
rotation = "session"
max_files = 3
bytes_per_identity = "1MiB"
log_dir = "log"
redact = ["badge-[0-9]+"]
[audit.events]
execution = false
session = true
[retention]
sessions_per_identity = 40
bytes_per_identity = "1GiB"
sessions = 50
age = "90d"
[remotes.prod]
host = "prod.example.com"
user = "admin"
port = 2200
key = "k"
known_hosts = "kh"
fingerprint = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU"
jump = ["bastion"]
cache = "90s"
[remotes.bastion]
host = "b.example.com"
[hostkeys]
types = ["ed25519", "ecdsa"]
[ssh]
kex = ["curve25519-sha256"]
ciphers = ["aes256-gcm@openssh.com"]
macs = ["hmac-sha2-256-etm@openssh.com"]
`, filepath.Join(dir, "state"), newKey(t)+" claude")
	write(t, file, text)
	write(t, filepath.Join(dir, "alice.keys"), "# people\n\n"+newKey(t)+" alice@laptop\n"+newKey(t)+"\n")
	c, err := config.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Identities) != 2 || c.Identities[0].Name != "alice" || len(c.Identities[0].Keys) != 2 ||
		c.Identities[1].Role != journal.Agent || len(c.Identities[1].Targets) != 2 {
		t.Errorf("identities are %+v", c.Identities)
	}
	want := config.Limits{
		Wall: time.Minute, Lifetime: 3 * time.Hour, Hold: 30 * time.Second, Expire: 7 * 24 * time.Hour, Grant: time.Hour, Memory: 1 << 30, Script: 2 << 20,
		Write: 50e6, Checkpoint: 1 << 30, Operations: 5, Sessions: 3, SessionsPerIdentity: 2, Queue: 5 * time.Second, Uploads: 7, UploadsPerIdentity: 6,
		Processes: 4, Threads: 32, Files: 256, Nodes: 1000, Calls: 0,
	}
	if c.Limits != want {
		t.Errorf("limits are %+v, want %+v", c.Limits, want)
	}
	a := c.Audit
	if a.Enabled || a.Rotation != "session" || a.MaxFiles != 3 || c.AuditDir() != filepath.Join(dir, "log") || !a.Skip["result"] || a.Skip["session"] ||
		a.Redact.Text("badge-12") != "[redacted]" {
		t.Errorf("audit is %+v", a)
	}
	if len(c.SHA256) != 64 {
		t.Errorf("the file's hash is %q", c.SHA256)
	}
	if r := c.Retention; r != (config.Retention{Sessions: 50, SessionsPerIdentity: 40, BytesPerIdentity: 1 << 30, Age: 90 * 24 * time.Hour}) {
		t.Errorf("retention is %+v", r)
	}
	if r := c.Remotes["prod"]; r.Port != 2200 || r.User != "admin" || r.Cache != 90*time.Second || c.Remotes["bastion"].Cache != 0 || c.Remotes["bastion"].Port != 22 {
		t.Errorf("remotes are %+v", c.Remotes)
	}
	for _, hidden := range []string{file, filepath.Join(dir, "state"), "/etc/private", "/etc/shadow"} {
		if !slices.Contains(c.Files.Hide, hidden) {
			t.Errorf("%s is not hidden", hidden)
		}
	}
}

func TestStateIsHiddenUnderItsRealNameToo(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "real"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	c := parse(t, "[files]\nread = ["+`"`+dir+`"`+"]\n")
	if err := c.SetState(filepath.Join(dir, "link", "state")); err != nil {
		t.Fatal(err)
	}
	p, err := vfs.NewPolicy(c.Files.Read, c.Files.Hide)
	if err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Decide(filepath.Join(real, "real", "state", "gateway.db")); got != vfs.Hidden {
		t.Errorf("the database is %v to scripts", got)
	}
}

func TestMistakesAreNamedWithTheirPlace(t *testing.T) {
	key := newKey(t)
	agent := func(rest string) string { return "[identities.a]\nrole = \"agent\"\n" + rest }
	tests := []struct{ name, text, want string }{
		{"unknown key", "listne = 1", `line 1: unknown key "listne"; the nearest known one is "listen"`},
		{"unknown limit", "\n[limits]\nmemroy = \"1MiB\"", `line 3: unknown key "limits.memroy"; the nearest known one is "limits.memory"`},
		{"unknown table", "[profil]\nauto_approve = []", `unknown key "profil"; the nearest known one is "profile"`},
		{"unknown identity key", agent("key = []"), `"identities.a.key"; the nearest known one is "identities.a.keys"`},
		{"unknown remote key", "[remotes.p]\nhots = \"h\"", `"remotes.p.hots"; the nearest known one is "remotes.p.host"`},
		{"syntax", "listen = ", "line 1"},
		{"duration without unit", "[limits]\nwall = \"10\"", "write one with a unit"},
		{"duration as a number", "[limits]\nwall = 10", "write one with a unit"},
		{"negative duration", "[limits]\nwall = \"-1s\"", "negative"},
		{"size", "[limits]\nmemory = \"lots\"", "512MiB"},
		{"negative size", "[limits]\nmemory = -1", "512MiB"},
		{"size too large", "[limits]\nmemory = \"99999999999TiB\"", "not a size"},
		{"negative count", "[limits]\noperations = -1", "negative"},
		{"listen", "listen = \"2222\"", "HOST:PORT"},
		{"state", "state = \"/\"", "directory of its own"},
		{"no role", "[identities.a]\nkeys = [\"" + key + "\"]", "role is missing"},
		{"odd role", "[identities.a]\nrole = \"root\"\nkeys = [\"" + key + "\"]", "agent, approver or admin"},
		{"odd name", "[identities.\"a b\"]\nrole = \"agent\"\nkeys = [\"" + key + "\"]", "a name is"},
		{"name of the policy", "[identities.policy]\nrole = \"agent\"\nkeys = [\"" + key + "\"]", "choose another"},
		{"no target", agent("keys = [\"" + key + "\"]\ntargets = [\"prod\"]"), "no [remotes.prod], and no group prod"},
		{"group of groups", "[groups]\na = [\"b\"]\nb = [\"local\"]", "b is a group itself"},
		{"key options", agent(`keys = ["command=\"x\" ` + key + `"]`), "is not supported"},
		{"no-touch option", agent(`keys = ["no-touch-required ` + key + `"]`), "is not supported"},
		{"two keys in one", agent(`keys = ["` + key + `\n` + key + `"]`), "more than one line"},
		{"no key at all", agent(`keys = ["hello"]`), "not a public key"},
		{"key twice in one", agent(`keys = ["` + key + `", "` + key + ` again"]`), `belongs to "a" already`},
		{"key of two", agent(`keys = ["`+key+`"]`) + "\n[identities.b]\nrole = \"approver\"\nkeys = [\"" + key + " other\"]", `belongs to "a" already`},
		{"weak RSA", agent(`keys = ["` + rsaKey(t, 1024) + `"]`), "at least 2048 bits"},
		{"remote without host", "[remotes.p]\nuser = \"u\"", "host is missing"},
		{"remote host is a flag", "[remotes.p]\nhost = \"-oProxyCommand=x\"", "begins with a dash"},
		{"remote port", "[remotes.p]\nhost = \"h\"\nport = 70000", "not a port"},
		{"remote jump", "[remotes.p]\nhost = \"h\"\njump = [\"x\"]", "no [remotes.x]"},
		{"remote named local", "[remotes.local]\nhost = \"h\"", "own host"},
		{"retention", "[retention]\nsessions = -1", "0 keeps all"},
		{"redact", "[audit]\nredact = [\"(\"]", "[audit] redact: pattern"},
		{"an event that is none", "[audit.events]\nsesion = true", "there are: approval, authentication"},
		{"rotation", "[audit]\nrotation = \"hourly\"", "daily, session or none"},
		{"host key type", "[hostkeys]\ntypes = [\"dsa\"]", "use ed25519, ecdsa or rsa"},
		{"no host key type", "[hostkeys]\ntypes = []", "is empty"},
		{"cipher", "[ssh]\nciphers = [\"arcfour\"]", "not secure"},
		{"no cipher", "[ssh]\nciphers = []", "empty list"},
		{"read pattern", "[files]\nread = [\"etc\"]", "[files]"},
		{"scratch", "[files]\nscratch = [\"/tmp/../etc\"]", "clean absolute path"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := config.Parse([]byte(tt.text), "")
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error is %q, want one line with %q", err, tt.want)
			}
		})
	}
}

func rsaKey(t *testing.T, bits int) string {
	t.Helper()
	t.Setenv("GODEBUG", "rsa1024min=0")
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	public, err := ssh.NewPublicKey(&k.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
}

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("listen = \"a:1\"")
	f.Add("[limits]\nwall = 1\nmemory = \"1KiB\"")
	f.Add("[identities.a]\nrole = \"agent\"\nkeys = [\"ssh-ed25519 AAAA\"]")
	f.Add("[a.b.c]\nx = [{}]")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := config.Parse([]byte(text), "")
		if err == nil && (!filepath.IsAbs(c.State) || !slices.Contains(c.Files.Hide, c.State) || c.Limits.Script <= 0) {
			t.Errorf("%q gives %+v", text, c)
		}
	})
}

func TestInterpretersStartedAhead(t *testing.T) {
	for text, want := range map[string]int{"": config.DefaultWarm, "[engines.native]\nwarm = 0": 0, "[engines.native]\nwarm = 5": 5} {
		if c := parse(t, text); c.Native.Warm != want {
			t.Errorf("%q: %d", text, c.Native.Warm)
		}
	}
	for _, text := range []string{"[engines.native]\nwarm = -1", "[engines.native]\nwarm = 1000"} {
		if _, err := config.Parse([]byte(text), ""); err == nil || !strings.Contains(err.Error(), "engines.native.warm") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestJailIsOnUnlessSwitchedOff(t *testing.T) {
	for text, want := range map[string]bool{"": true, "[profile]\njail = true": true, "[profile]\njail = false": false} {
		if c := parse(t, text); c.Jail != want {
			t.Errorf("%q: %v", text, c.Jail)
		}
	}
}

func TestRowsOfPrograms(t *testing.T) {
	c := parse(t, `
[programs.mytool]
flags = "-v --limit="
writes = "-o"
[programs.mytool.subcommands."status show"]
operands = "any"
[programs.other]
operands = 2
`)
	if p := c.Profile.Programs["mytool"]; p.Flags != "-v --limit=" || p.Subcommands["status show"].Operands != "any" {
		t.Errorf("got %+v", p)
	}
	for text, want := range map[string]string{
		"[programs.x]\nflag = \"-a\"":                                  `the nearest known one is "programs.x.flags"`,
		"[programs.x.subcommands.y]\noperand = 1":                      `the nearest known one is "programs.x.subcommands.y.operands"`,
		"[programs.x]\nflags = \"-a -a=\"\nwrites = \"-b -a\"":         "programs.x",
		"[programs.bash]\nany = true":                                  "bash runs text or scripts",
		"[programs.sudo]\nany = true":                                  "sudo runs the command in its words",
		"[programs.x]\noperands = \"few\"":                             "operands is a number",
		"[profile]\nauto_approve = [\"ls; rm\"]":                       "is shell text",
		"[programs.x]\nmatch = \"[\"":                                  "regular expression",
		"[programs.\"/usr/bin/x\"]\nany = true":                        "is not the name of a program",
		"[programs.x]\nsubcommands.a.subcommands.b.flags = \"nodash\"": "is not a flag",
	} {
		if _, err := config.Parse([]byte(text), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}
