package config

import (
	"slices"
	"strings"
	"testing"
)

func TestFilesOfShannotBecomeSections(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		toml  []string
		notes []string // a part of each, in order
	}{
		"profile": {
			text: `{"auto_approve": ["ls", "systemctl status"], "always_deny": ["rm -rf /", ":(){ :|:& };:", "> /dev/sda"]}`,
			toml: []string{"[profile]\n", "  \"ls\",\n  \"systemctl status\",\n]", "always_deny = [\n", `":(){ :|:& };:"`},
		},
		"profile that approves nothing": {text: `{"auto_approve": []}`, toml: []string{"[profile]\nauto_approve = []\n"}},
		"profile with Bubblewrap": {
			text: `{"name": "d", "allowed_commands": ["ls", "/usr/bin/ls", "/bin/ls", "/usr/sbin/ip", "/usr/bin/*stat", "/opt/x/tool"],
				"binds": [{"source": "/etc", "target": "/etc", "read_only": true, "create_target": false},
					{"source": "/srv", "target": "/data"}, {"source": "/var/log", "target": "/var/log", "read_only": false}],
				"tmpfs_paths": ["/tmp", "/run"], "environment": {"PATH": "/usr/bin"}, "seccomp_profile": "a.bpf",
				"network_isolation": false, "additional_args": ["--hostname", "x"]}`,
			toml: []string{
				"auto_approve = [\n  \"ls\",\n  \"ip\",\n]\n", "[files]\nread = [\n  \"/etc\",\n  \"/srv\",\n  \"/var/log\",\n]\n",
				"scratch = [\n  \"/tmp\",\n  \"/run\",\n]",
			},
			notes: []string{
				`"/usr/bin/*stat" is a pattern`, `"/opt/x/tool" is left out`, `"/srv" has its own name here, and not "/data"`,
				`"/var/log" can be written there`, "environment (PATH)", `"a.bpf"`, "network_isolation", "--hostname x",
			},
		},
		"profile that allows everything": {text: `{"name": "d", "allowed_commands": []}`, toml: []string{"auto_approve = []"}, notes: []string{"is empty"}},
		"executors": {
			text: "default_executor = \"prod\"\n[executor.local]\ntype = \"local\"\nbwrap_path = \"/b\"\n[executor.prod]\ntype = \"ssh\"\nhost = \"p.example\"\n" +
				"username = \"ops\"\nkey_file = \"~/.ssh/p\"\nport = 2222\nconnection_pool_size = 5\nprofile = \"minimal\"\nstrict_host_key = false\n",
			toml:  []string{"[remotes.prod]\nhost = \"p.example\"\nuser = \"ops\"\nkey = \"~/.ssh/p\"\nport = 2222\n"},
			notes: []string{`the profile "minimal"`, "takes any host key", "default_executor"},
		},
		"remotes": {text: "[remotes.a]\nhost = \"h\"\nuser = \"u\"\nport = 22\n", toml: []string{"[remotes.a]\nhost = \"h\""}, notes: []string{"as it was"}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Import([]byte(c.text))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.toml {
				if !strings.Contains(got.TOML, want) {
					t.Errorf("%q is missing in\n%s", want, got.TOML)
				}
			}
			if !slices.EqualFunc(got.Notes, c.notes, strings.Contains) {
				t.Errorf("notes %q, want %q", got.Notes, c.notes)
			}
		})
	}
}

func TestWhatIsNoFileOfShannotsIsRefused(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"empty":             {"", "names no executor"},
		"object":            {"{}", "it has none of"},
		"unknown key":       {`{"auto_aprove": ["ls"]}`, "auto_aprove"},
		"two objects":       {`{"auto_approve": []} {}`, "something follows"},
		"no JSON":           {`{"auto_approve": [`, "no profile"},
		"no list":           {`{"auto_approve": "ls"}`, "no profile"},
		"unknown section":   {"[frobnicate]\na = 1\n", "frobnicate"},
		"unknown type":      {"[executor.a]\ntype = \"telnet\"\n", "there are local and ssh"},
		"no host":           {"[executor.a]\ntype = \"ssh\"\n", "host is missing"},
		"name":              {"[executor.\"a b\"]\ntype = \"ssh\"\nhost = \"h\"\n", "no name for a target"},
		"two forms":         {"[executor.a]\ntype = \"ssh\"\nhost = \"h\"\n[remotes.b]\nhost = \"h\"\n", "a file of its own"},
		"relative scratch":  {`{"tmpfs_paths": ["tmp"]}`, "would not load"},
		"too large":         {"{" + strings.Repeat(" ", maxFile) + "}", "larger than"},
		"remote of no host": {"[remotes.a]\nuser = \"u\"\n", "would not load"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, err := Import([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %q; want %q", err, got.TOML, c.want)
			}
		})
	}
}

func FuzzImport(f *testing.F) {
	f.Add([]byte(`{"auto_approve": ["ls\u0000\n\"]"], "tmpfs_paths": ["/tmp"]}`))
	f.Add([]byte("[executor.a]\ntype = \"ssh\"\nhost = \"h\"\nusername = \"a\\\"\\nkey = 1\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := Import(text)
		if err != nil {
			return
		}
		c, err := Parse([]byte(got.TOML), "")
		if err != nil {
			t.Fatalf("%q became %q, which does not load: %v", text, got.TOML, err)
		}
		if len(c.Identities) > 0 {
			t.Fatalf("%q made an identity", text)
		}
	})
}
