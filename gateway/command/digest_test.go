package command

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"shannot-gateway/approvals/diff"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/journal/journaltest"
)

// printed are an operation as `show` prints it and as JSON has it.
func printed(t *testing.T, op *journal.Operation) (text, asJSON string) {
	t.Helper()
	s := journaltest.Session(*op)
	var shown, object bytes.Buffer
	p := &page{w: &shown, diff: func(*journal.File, int) (diff.Diff, bool, error) { return diff.Diff{}, false, nil }}
	p.operation(&s, op)
	if err := writeJSON(&object, describe(s, maxJSONStdin)); err != nil {
		t.Fatal(err)
	}
	return journaltest.WithoutDigests(shown.String(), op), object.String()
}

// TestEveryFieldOfADigestIsShownAndInJSON changes one field after the other that an operation's digest covers, and looks
// for the change in what is shown.
func TestEveryFieldOfADigestIsShownAndInJSON(t *testing.T) {
	for _, o := range journaltest.Operations() {
		text, object := printed(t, &o.Op)
		object = withoutDigests(object, &o.Op)
		for _, c := range journaltest.Changed(o.Op) {
			changed, changedObject := printed(t, &c.Op)
			if changed == text {
				t.Errorf("%s: its digest covers %s, and show does not show it:\n%s", o.Name, c.Name, text)
			}
			if withoutDigests(changedObject, &c.Op) == object {
				t.Errorf("%s: its digest covers %s, and its JSON has nothing of it:\n%s", o.Name, c.Name, object)
			}
		}
	}
}

// withoutDigests leaves the waiting digest out, too.
func withoutDigests(object string, op *journal.Operation) string {
	s := journaltest.Session(*op)
	return journaltest.WithoutDigests(strings.ReplaceAll(object, s.WaitingDigest(), "WAITING"), op)
}

// TestDigestsAreMadeOfJSONAlone makes each operation's digest of nothing but its JSON, as docs/json.md tells clients to.
func TestDigestsAreMadeOfJSONAlone(t *testing.T) {
	check := func(name string, op *journal.Operation) {
		_, object := printed(t, op)
		var s struct {
			WaitingDigest string `json:"waiting_digest"`
			Operations    []map[string]any
		}
		if err := json.Unmarshal([]byte(object), &s); err != nil {
			t.Fatal(err)
		}
		o := s.Operations[0]
		if got := digestOf(o); got != op.Digest || o["digest"] != op.Digest {
			t.Errorf("%s: its digest is %s, and by its JSON it is %s:\n%s", name, op.Digest, got, object)
		}
		waiting := encode(nil, "shannot waiting v1", []string{op.Digest})
		if s.WaitingDigest != sum(waiting) {
			t.Errorf("%s: the waiting digest is not that of its operation", name)
		}
	}
	for _, o := range journaltest.Operations() {
		check(o.Name, &o.Op)
		for _, c := range journaltest.Changed(o.Op) {
			check(o.Name+", "+c.Name, &c.Op)
		}
	}
	binary := journaltest.Operations()[0].Op
	binary.Command.Argv, binary.Command.Path, binary.Command.Dir = []string{"tool", "\xff"}, "/bin/\xfe", "/srv/\xfd"
	binary.Command.Env = append(binary.Command.Env, "X=\xfc")
	binary.Command.Scratch[0].Path = "/tmp/\xfb"
	binary.Digest = binary.Command.Digest()
	check("bytes that are not UTF-8", &binary)
	link := journaltest.Operations()[7].Op
	link.File.To, link.File.Was.Link = "/to/\xff", "\xfe"
	link.Digest = link.File.Digest()
	check("a link that is not UTF-8", &link)
}

// digestOf is docs/digest.md, on the JSON of an operation.
func digestOf(o map[string]any) string {
	if f, ok := o["file"].(map[string]any); ok {
		return fileDigestOf(f)
	}
	fields := []any{"shannot command v1", exact(o, "target"), exact(o, "user"), exact(o, "executable"), exactAll(o, "argv"), exact(o, "cwd"),
		exactAll(o, "env"), exact(o, "stdin_from"), exact(o, "stdin_sha256")}
	before, scratch := exactAll(o, "before_digests"), []string{}
	if list, ok := o["scratch"].([]any); ok {
		for _, f := range list {
			scratch = append(scratch, fileDigestOf(f.(map[string]any)))
		}
	}
	if len(before)+len(scratch) > 0 {
		fields[0] = "shannot command v2"
		fields = append(fields, before, scratch)
	}
	return sum(encode(nil, fields...))
}

func fileDigestOf(f map[string]any) string {
	rights := []string{}
	if f["mode"] != nil {
		rights = []string{octalOf(f["mode"]), numberOf(f["uid"]), numberOf(f["gid"])}
	}
	return sum(encode(nil, "shannot file v1", exact(f, "op"), exact(f, "target"), exact(f, "user"), exact(f, "path"), exact(f, "to"), rights,
		exact(f, "mtime"), numberOf(f["size"]), exact(f, "sha256"), stateOf(f["before"]), stateOf(f["to_before"])))
}

func stateOf(v any) []string {
	s, ok := v.(map[string]any)
	if !ok {
		return nil
	}
	mtime := ""
	if mode := octalOf(s["mode"]); strings.HasPrefix(mode, "100") && len(mode) == 6 && exact(s, "sha256") == "" {
		mtime = exact(s, "mtime")
	}
	return []string{octalOf(s["mode"]), numberOf(s["uid"]), numberOf(s["gid"]), numberOf(s["size"]), exact(s, "link"), exact(s, "sha256"), mtime}
}

func exact(o map[string]any, name string) string {
	if b, ok := o[name+"_b64"].(string); ok {
		raw, err := base64.StdEncoding.DecodeString(b)
		if err != nil {
			panic(err)
		}
		return string(raw)
	}
	s, _ := o[name].(string)
	return s
}

func exactAll(o map[string]any, name string) (all []string) {
	list, encoded := o[name+"_b64"].([]any)
	if !encoded {
		list, _ = o[name].([]any)
	}
	for _, v := range list {
		all = append(all, exact(map[string]any{"x" + map[bool]string{true: "_b64"}[encoded]: v}, "x"))
	}
	return all
}

// octalOf is a mode without leading zeros.
func octalOf(v any) string {
	n, err := strconv.ParseUint(v.(string), 8, 32)
	if err != nil {
		panic(err)
	}
	return strconv.FormatUint(n, 8)
}

func numberOf(v any) string {
	if v == nil {
		return "0"
	}
	return fmt.Sprintf("%.0f", v)
}

// encode appends the encoding of strings and lists.
func encode(b []byte, fields ...any) []byte {
	for _, f := range fields {
		switch f := f.(type) {
		case string:
			b = append(binary.BigEndian.AppendUint64(b, uint64(len(f))), f...)
		case []string:
			b = binary.BigEndian.AppendUint64(b, uint64(len(f)))
			for _, s := range f {
				b = encode(b, s)
			}
		}
	}
	return b
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}
