package journal

import (
	"encoding/json"
	"slices"
	"syscall"
	"testing"
	"time"
)

func someFile() File {
	return File{
		Op: Write, Target: "local", RunAs: "root", Path: "/srv/a", To: "/srv/b", Perms: true, Mode: 0o644, UID: 1, GID: 2,
		Mtime: time.Unix(5, 6).UTC(), Size: 3, SHA256: SHA256Hex([]byte("one")),
		Was:   &FileState{Mode: syscall.S_IFREG | 0o600, UID: 3, GID: 4, Size: 7, Mtime: time.Unix(8, 0).UTC(), Link: "l", SHA256: SHA256Hex([]byte("two"))},
		WasTo: &FileState{Mode: syscall.S_IFREG | 0o600, Mtime: time.Unix(9, 0).UTC()},
		Kept:  true, Lost: "why",
	}
}

func TestFileDigestCoversEverythingThatMatters(t *testing.T) {
	base := someFile()
	seen := map[string]string{base.Digest(): "the file itself"}
	for name, change := range map[string]func(*File){
		"op": func(f *File) { f.Op = Chmod }, "target": func(f *File) { f.Target = "prod" }, "user": func(f *File) { f.RunAs = "ops" },
		"path": func(f *File) { f.Path += "x" }, "to": func(f *File) { f.To = "" }, "moved bytes": func(f *File) { f.Path, f.To = "/srv/a/", "srv/b" },
		"mode": func(f *File) { f.Mode = 0o4644 }, "uid": func(f *File) { f.UID = 0 }, "gid": func(f *File) { f.GID = 0 },
		"no perms": func(f *File) { f.Perms = false }, "mtime": func(f *File) { f.Mtime = time.Time{} },
		"size": func(f *File) { f.Size++ }, "content": func(f *File) { f.SHA256 = SHA256Hex(nil) },
		"nothing before": func(f *File) { f.Was = nil }, "nothing at the new name": func(f *File) { f.WasTo = nil },
		"mode before": func(f *File) { f.Was.Mode = syscall.S_IFREG | 0o644 }, "owner before": func(f *File) { f.Was.UID++ },
		"group before": func(f *File) { f.Was.GID++ }, "size before": func(f *File) { f.Was.Size++ }, "link before": func(f *File) { f.Was.Link = "m" },
		"content before": func(f *File) { f.Was.SHA256 = SHA256Hex(nil) }, "kind before": func(f *File) { f.Was.Mode = syscall.S_IFLNK },
		"time before, without a hash": func(f *File) { f.WasTo.Mtime = time.Unix(10, 0) },
		"swapped":                     func(f *File) { f.Was, f.WasTo = f.WasTo, f.Was },
	} {
		f := someFile()
		change(&f)
		digest := f.Digest()
		if other, ok := seen[digest]; ok {
			t.Errorf("%s has the digest of %s", name, other)
		}
		seen[digest] = name
	}
	for name, change := range map[string]func(*File){
		"kept": func(f *File) { f.Kept, f.Lost = false, "" }, "time before, with a hash": func(f *File) { f.Was.Mtime = time.Unix(10, 0) },
	} {
		f := someFile()
		change(&f)
		if f.Digest() != base.Digest() {
			t.Errorf("%s changes the digest", name)
		}
	}
}

func TestCommandDigestCoversTheFilesBeforeItAndItsScratch(t *testing.T) {
	plain := Command{Target: "local", Path: "/bin/true", Argv: Strings{"true"}}
	f, g := someFile(), someFile()
	g.Path = "/tmp/other"
	digests := []string{plain.Digest()}
	for _, c := range []Command{
		{Before: []string{f.Digest()}}, {Before: []string{g.Digest()}}, {Before: []string{f.Digest(), g.Digest()}}, {Before: []string{g.Digest(), f.Digest()}},
		{Scratch: []File{f}}, {Scratch: []File{f, g}}, {Before: []string{f.Digest()}, Scratch: []File{g}},
	} {
		c.Target, c.Path, c.Argv = plain.Target, plain.Path, plain.Argv
		digests = append(digests, c.Digest())
	}
	slices.Sort(digests)
	if len(slices.Compact(digests)) != 8 {
		t.Error("two different commands have one digest")
	}
}

func TestFileRecordComesBackToTheByte(t *testing.T) {
	f := someFile()
	f.Path, f.To, f.Was.Link = "/srv/\xff\xfe", "\x80", "\xc3\x28"
	text, err := json.Marshal(f)
	if err != nil {
		t.Fatal(err)
	}
	var back File
	if err := json.Unmarshal(text, &back); err != nil || back.Digest() != f.Digest() || back.Path != f.Path || !back.Kept {
		t.Errorf("%s became %+v, %v", text, back, err)
	}
}

func FuzzExact(f *testing.F) {
	f.Add("/etc/passwd")
	f.Add("\xff\x00")
	f.Add(`{"b64":"AA=="}`)
	f.Fuzz(func(t *testing.T, s string) {
		text, err := json.Marshal(Exact(s))
		if err != nil {
			t.Fatal(err)
		}
		var back Exact
		if err := json.Unmarshal(text, &back); err != nil || string(back) != s {
			t.Errorf("%q became %s became %q, %v", s, text, back, err)
		}
		_ = back.UnmarshalJSON([]byte(s)) // whatever it is, no panic
	})
}
