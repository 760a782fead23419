package config

import (
	"strings"
	"testing"
)

const edited = `# The gateway of the web servers.
listen = "127.0.0.1:2222"   # only from here

[identities.claude]
role = "agent"
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl claude"]
targets = [
	"local", # always
	"web-1",
]

# The first one.
[remotes.web-1]
# It moved in May.
host = "web-1.example.com"   # not the old one
fingerprint = "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU" # by phone
jump = [
  "web-2", # over the other
]

[remotes.web-1.files]
read = ["/etc"]

# The second one.
[remotes.web-2]
host = "web-2.example.com"
`

func TestEditsKeepEverythingElse(t *testing.T) {
	const newer = "SHA256:uNiVztksCsDhcc0u9e8BgrJXVGDRhCfBBfxHOpA0Ewk"
	set, err := SetRemote([]byte(edited), "web-1", "fingerprint", TOMLString(newer))
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(edited, "SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU", newer, 1)
	if string(set) != want {
		t.Errorf("a key that is there:\n%s", set)
	}
	set, err = SetRemote([]byte(edited), "web-2", "fingerprint", TOMLString(newer))
	if err != nil {
		t.Fatal(err)
	}
	want = strings.Replace(edited, "[remotes.web-2]\n", "[remotes.web-2]\nfingerprint = \""+newer+"\"\n", 1)
	if string(set) != want {
		t.Errorf("a new key:\n%s", set)
	}
	added, err := AddRemote([]byte(edited), "db.1", []Setting{{"host", TOMLString("db")}, {"jump", TOMLStrings([]string{"web-1"})}})
	if err != nil {
		t.Fatal(err)
	}
	if want := edited + "\n[remotes.\"db.1\"]\nhost = \"db\"\njump = [\"web-1\"]\n"; string(added) != want {
		t.Errorf("a new section:\n%s", added)
	}
	if c, err := Parse(added, ""); err != nil || c.Remotes["db.1"].Host != "db" {
		t.Errorf("it loads as %+v, %v", c, err)
	}
	removed, err := RemoveRemote([]byte(edited), "web-1")
	if err != nil {
		t.Fatal(err)
	}
	from, to := strings.Index(edited, "[remotes.web-1]"), strings.Index(edited, "\n# The second one.")
	want = edited[:from] + edited[to:]
	if string(removed) != want {
		t.Errorf("a section less:\n%q\nwant\n%q", removed, want)
	}
	if _, err := Parse(removed, ""); err == nil || !strings.Contains(err.Error(), "web-1") {
		t.Errorf("an identity that names what is gone: %v", err)
	}
}

func TestWhatCannotBeEditedIsLeftAlone(t *testing.T) {
	for name, text := range map[string]string{
		"dotted keys":  "remotes.web-1.host = \"x\"\n",
		"inline":       "[remotes]\nweb-1 = { host = \"x\" }\n",
		"dotted below": "[remotes]\nweb-1.host = \"x\"\n",
		"no TOML":      "[remotes.web-1\nhost = 1",
	} {
		if out, err := SetRemote([]byte(text), "web-1", "fingerprint", `"x"`); err == nil {
			t.Errorf("%s, set: %q", name, out)
		}
		if out, err := RemoveRemote([]byte(text), "web-1"); err == nil {
			t.Errorf("%s, removed: %q", name, out)
		}
		if out, err := AddRemote([]byte(text), "web-1", nil); err == nil {
			t.Errorf("%s, added: %q", name, out)
		}
	}
	for _, name := range []string{"", "local", "a b", "a]b", "\"", "../x", "-x", "x\n[identities.eve]"} {
		if out, err := AddRemote(nil, name, nil); err == nil {
			t.Errorf("the name %q: %q", name, out)
		}
	}
}

func TestStringsOfAnyKindSurviveTOML(t *testing.T) {
	for _, s := range []string{"", `a"b\c`, "new\nline\ttab", "\x00\x01\x7f", "ünï", "#", "'", `"""`} {
		text := "[remotes.x]\nhost = \"h\"\nkey = " + TOMLString(s) + "\n"
		c, err := Parse([]byte(text), "")
		if err != nil || c.Remotes["x"].Key != s {
			t.Errorf("%q: %+v, %v", s, c, err)
		}
	}
}

func FuzzEdit(f *testing.F) {
	f.Add([]byte(edited), "web-1")
	f.Add([]byte("[remotes.a]\n#\n\n[x]"), "a")
	f.Add([]byte("[[remotes.a]]\nb=1"), "a")
	f.Add([]byte("[remotes.a]"), "a")
	f.Add([]byte("[[remotes.a]]"), "a")
	f.Fuzz(func(t *testing.T, text []byte, name string) {
		for _, edit := range []func() ([]byte, error){
			func() ([]byte, error) { return SetRemote(text, name, "fingerprint", `"x"`) },
			func() ([]byte, error) { return RemoveRemote(text, name) },
			func() ([]byte, error) { return AddRemote(text, name, []Setting{{"host", `"h"`}}) },
		} {
			out, err := edit()
			if err == nil {
				if _, err := remoteSpans(out, name); err != nil {
					t.Errorf("%q became %q: %v", text, out, err)
				}
			}
		}
	})
}
