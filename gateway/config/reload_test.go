package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func parsed(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse([]byte(text), "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Every field of a configuration either stays, and is told of where it differs, or is taken up.
func TestAReloadKeepsWhatHoldsFromStartToEnd(t *testing.T) {
	const redact = "[audit]\nredact = [\"token=(\\\\S+)\", \"a|b\"]\n"
	old := parsed(t, redact)
	if restart, err := parsed(t, redact).KeepFixed(old); err != nil || len(restart) > 0 {
		t.Errorf("of the same: %q, %v", restart, err)
	}
	for name, text := range map[string]string{
		"listen": "listen = \"127.0.0.1:1\"", "state": "state = \"/elsewhere\"", "engine": "engine = \"pypy\"",
		"[engines.native]": "[engines.native]\nwarm = 1", "[engines.pypy]": "[engines.pypy]\nexecutable = \"/x\"",
		"[engines.shell]": "[engines.shell]\nenabled = true",
		"[profile] jail":  "[profile]\njail = false", "[local]": "[local]\nrun_as = \"ops\"", "[audit]": "[audit]\nenabled = false",
		"[retention]": "[retention]\nsessions = 3", "[hostkeys]": "[hostkeys]\ntypes = [\"rsa\"]",
		"[ssh]": "[ssh]\nciphers = [\"aes256-gcm@openssh.com\"]",
	} {
		old := parsed(t, "")
		c := parsed(t, text)
		restart, err := c.KeepFixed(old)
		if err != nil || !slices.Equal(restart, []string{name}) {
			t.Errorf("%s: %q, %v", name, restart, err)
		}
		c.SHA256, c.Files.Hide, c.Profile.Hide = old.SHA256, old.Files.Hide, old.Profile.Hide // see the next test
		if !reflect.DeepEqual(c, old) {
			t.Errorf("%s did not stay", name)
		}
	}
	c := parsed(t, "[limits]\nwall = \"3s\"\n[profile]\nauto_approve = [\"df\"]\n[remotes.a]\nhost = \"h\"\nuser = \"u\"\n[groups]\ng = [\"a\"]\n[files]\nhide = [\"/x\"]")
	if restart, err := c.KeepFixed(parsed(t, "")); err != nil || len(restart) > 0 {
		t.Errorf("%q, %v", restart, err)
	}
	if c.Limits.Wall.String() != "3s" || !slices.Equal(c.Profile.AutoApprove, []string{"df"}) || len(c.Remotes) != 1 || len(c.Groups) != 1 ||
		!slices.Contains(c.Files.Hide, "/x") {
		t.Errorf("it was not taken up: %+v", c)
	}
}

// A field that is new in Config has to be put into one of these lists, and into KeepFixed where it belongs there.
func TestEveryFieldStaysOrIsTakenUp(t *testing.T) {
	stays := []string{"State", "Listen", "Engine", "Native", "PyPy", "Shell", "Jail", "RunAs", "Audit", "Retention", "HostKeys", "SSH"}
	taken := []string{"Path", "SHA256", "StrictModes", "Warnings", "Identities", "Profile", "Files", "Limits", "Connections", "Remotes", "Groups", "Rehearsal"}
	for i := range reflect.TypeFor[Config]().NumField() {
		name := reflect.TypeFor[Config]().Field(i).Name
		if slices.Contains(stays, name) == slices.Contains(taken, name) {
			t.Errorf("does %s stay in a reload?", name)
		}
	}
}

// A state directory that the file names anew is hidden like the one that is kept.
func TestAReloadHidesBothStateDirectories(t *testing.T) {
	c := parsed(t, "state = \"/elsewhere\"")
	if _, err := c.KeepFixed(parsed(t, "state = \"/here\"")); err != nil {
		t.Fatal(err)
	}
	hidden := strings.Join(c.Files.Hide, " ")
	if c.State != "/here" || !strings.Contains(hidden, "/here") || !strings.Contains(hidden, "/elsewhere") {
		t.Errorf("%s, %s", c.State, hidden)
	}
}

func TestRemotesThatAreReachedInTheSameWay(t *testing.T) {
	const base = "[remotes.a]\nhost = \"h\"\nuser = \"u\"\njump = [\"b\"]\n[remotes.b]\nhost = \"j\"\nuser = \"u\"\n"
	old := parsed(t, base)
	for text, same := range map[string]bool{
		base: true,
		base + "[remotes.a.files]\nread = [\"/etc\"]\n":  true,
		base + "[remotes.c]\nhost = \"x\"\n":             true,
		strings.Replace(base, "\"h\"", "\"other\"", 1):   false,
		strings.Replace(base, "\"j\"", "\"other\"", 1):   false, // of the jump host
		strings.Replace(base, "jump = [\"b\"]\n", "", 1): false,
		strings.Replace(base, "[remotes.b]\nhost = \"j\"\n", "[remotes.b]\nhost = \"j\"\nfingerprint = \"SHA256:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU\"\n", 1): false,
		"": false,
	} {
		if got := SameRemote(old, parsed(t, text), "a"); got != same {
			t.Errorf("%q: %v", text, got)
		}
	}
	if SameRemote(parsed(t, ""), old, "a") {
		t.Error("one that was not there is the same")
	}
}
