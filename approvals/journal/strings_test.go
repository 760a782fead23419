package journal

import (
	"bytes"
	"encoding/json"
	"reflect"
	"testing"
)

// FuzzCommandRecord checks that a stored command has the digest of the one that was shown, and that two commands
// whose fields differ never encode alike.
func FuzzCommandRecord(f *testing.F) {
	f.Add("local", "root", "/bin/ls", "ls", "-l", "/", "A=1", "none")
	f.Add("", "", "/\xff", "\xfe", "", "/\xfd", "\xff=\xff", "")
	f.Fuzz(func(t *testing.T, target, user, path, a0, a1, dir, env, input string) {
		c := Command{Target: target, RunAs: user, Path: path, Argv: Strings{a0, a1}, Dir: dir, Env: Strings{env}, Input: input}
		text, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		var back Command
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		same := back.Argv[0] == a0 && back.Argv[1] == a1 && back.Dir == dir && back.Path == path && back.Env[0] == env
		if !same {
			t.Fatalf("%+v came back as %+v", c, back)
		}
		// Moving a byte over the bound of two fields is another command.
		moved := c
		moved.Argv = Strings{a0 + a1, ""}
		if a1 != "" && bytes.Equal(c.canonical(), moved.canonical()) {
			t.Fatal("two argument lists encode alike")
		}
		if joined := (Command{Argv: Strings{a0 + a1}}); bytes.Equal(joined.canonical(), (&Command{Argv: Strings{a0, a1}}).canonical()) {
			t.Fatal("one argument encodes like two")
		}
		if utf8Fields(target, user, input) && c.Digest() != back.Digest() {
			t.Fatalf("digest of %+v differs from that of %+v", c, back)
		}
	})
}

// utf8Fields reports whether the fields that the gateway makes itself are texts, as they always are.
func utf8Fields(fields ...string) bool {
	for _, f := range fields {
		var back string
		text, err := json.Marshal(f)
		if err != nil || json.Unmarshal(text, &back) != nil || back != f {
			return false
		}
	}
	return true
}

func TestOrdinaryStringsAreStoredAsTexts(t *testing.T) {
	text, err := json.Marshal(Strings{"ls", "-l"})
	var back Strings
	if err != nil || string(text) != `["ls","-l"]` || json.Unmarshal(text, &back) != nil || !reflect.DeepEqual(back, Strings{"ls", "-l"}) {
		t.Errorf("%s, %v, %v", text, err, back)
	}
}
