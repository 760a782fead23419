package command

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"io/fs"
	"strings"
	"testing"
)

// zipOf makes an archive.
func zipOf(t *testing.T, prefix string, make func(w *zip.Writer) error) string {
	t.Helper()
	var out bytes.Buffer
	out.WriteString(prefix)
	w := zip.NewWriter(&out)
	w.SetOffset(int64(len(prefix)))
	if err := make(w); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// withFiles adds files, by names and contents in turn.
func withFiles(files ...string) func(*zip.Writer) error {
	return func(w *zip.Writer) error {
		for i := 0; i < len(files); i += 2 {
			f, err := w.Create(files[i])
			if err == nil {
				_, err = f.Write([]byte(files[i+1]))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// withHeader adds one file as its header says, beside a __main__.py.
func withHeader(h zip.FileHeader, content string) func(*zip.Writer) error {
	return func(w *zip.Writer) error {
		if err := withFiles("__main__.py", "pass\n")(w); err != nil {
			return err
		}
		f, err := w.CreateRaw(&h)
		if err == nil {
			_, err = f.Write([]byte(content))
		}
		return err
	}
}

func TestAZipApplicationIsAScriptThatAHumanCanRead(t *testing.T) {
	source := "import app.work\n\napp.work.main(\"\"\"with 'quotes'\"\"\")\n"
	archive := zipOf(t, "#!/usr/bin/env python3\n", withFiles("app/", "", "app/work.py", "def main(x):\n    print(x)\n", "app/__init__.py", "",
		"__main__.py", source, "app/icon.png", "\x89PNG\x00\xff"))
	text, err := scriptText(archive, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if err := checkScript(text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		fmt.Sprintf("# A zip application of %d bytes, SHA-256 %x.\n", len(archive), sha256.Sum256([]byte(archive))),
		fmt.Sprintf("# %9d  %x  __main__.py\n", len(source), sha256.Sum256([]byte(source))),
		fmt.Sprintf("# %9d  %x  app/__init__.py\n", 0, sha256.Sum256(nil)),
		fmt.Sprintf("# %9d  %x  app/icon.png  (no text: in base64)\n", 6, sha256.Sum256([]byte("\x89PNG\x00\xff"))),
		"\n# __main__.py\n_files[\"__main__.py\"] = r'''import app.work\n\napp.work.main(\"\"\"with 'quotes'\"\"\")\n'''.encode()\n",
		"\n_files[\"app/work.py\"] = r\"\"\"def main(x):\n    print(x)\n\"\"\".encode()\n",
		"b64decode(\"\"\"\niVBORwD/\n\"\"\")\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the script has no\n%s\nin\n%s", want, text)
		}
	}
	if strings.Contains(text, "_files[\"app/\"]") {
		t.Error("a directory became a file")
	}
}

// The bytes that nothing reads as a file are in the digest all the same: the script is another one.
func TestEveryByteOfAZipApplicationIsInTheScriptsDigest(t *testing.T) {
	files := withFiles("__main__.py", "print(1)\n")
	one, err := scriptText(zipOf(t, "", files), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for name, archive := range map[string]string{
		"a first line": zipOf(t, "#!/usr/bin/python3\n", files),
		"a comment": zipOf(t, "", func(w *zip.Writer) error {
			if err := w.SetComment("unseen"); err != nil {
				return err
			}
			return files(w)
		}),
	} {
		if other, err := scriptText(archive, 1<<20); err != nil || other == one {
			t.Errorf("%s: the same script, %v", name, err)
		}
	}
}

func TestHostileZipArchivesAreRefused(t *testing.T) {
	main := []string{"__main__.py", "pass\n"}
	symlink := zip.FileHeader{Name: "link", Method: zip.Store, CRC32: crc32.ChecksumIEEE([]byte("/etc/shadow")), CompressedSize64: 11, UncompressedSize64: 11}
	symlink.SetMode(fs.ModeSymlink | 0o777)
	good := zipOf(t, "", withFiles(main...))
	bomb := zipOf(t, "", withFiles(append(main, "zeros", strings.Repeat("\x00", 8<<20))...))
	many := zipOf(t, "", func(w *zip.Writer) error {
		for i := range maxMembers + 1 {
			if err := withFiles(fmt.Sprint(i), "")(w); err != nil {
				return err
			}
		}
		return nil
	})
	for name, c := range map[string]struct{ archive, want string }{
		"no main":           {zipOf(t, "", withFiles("app.py", "")), "no __main__.py"},
		"nothing":           {"PK\x03\x04", "cannot be read"},
		"half":              {good[:len(good)/2], "cannot be read"},
		"another byte":      {strings.Replace(zipOf(t, "", withHeader(zip.FileHeader{Name: "a", Method: zip.Store, CRC32: crc32.ChecksumIEEE([]byte("content")), CompressedSize64: 7, UncompressedSize64: 7}, "content")), "content", "CONTENT", 1), "checksum"},
		"no checksum":       {zipOf(t, "", withHeader(zip.FileHeader{Name: "a", Method: zip.Store, CompressedSize64: 1, UncompressedSize64: 1}, "a")), "checksum"},
		"above":             {zipOf(t, "", withFiles(append(main, "../above.py", "")...)), "does not lead"},
		"above, later":      {zipOf(t, "", withFiles(append(main, "a/../../above.py", "")...)), "does not lead"},
		"absolute":          {zipOf(t, "", withFiles(append(main, "/etc/cron.d/x", "")...)), "does not lead"},
		"backslash":         {zipOf(t, "", withFiles(append(main, `..\above.py`, "")...)), "not printable"},
		"drive":             {zipOf(t, "", withFiles(append(main, `c:x.py`, "")...)), "does not lead"},
		"a line in a name":  {zipOf(t, "", withFiles(append(main, "a\nimport os", "")...)), "not printable"},
		"an escape":         {zipOf(t, "", withFiles(append(main, "a\x1b[2J", "")...)), "not printable"},
		"turned around":     {zipOf(t, "", withFiles(append(main, "a\u202eyp.x", "")...)), "not printable"},
		"no UTF-8":          {zipOf(t, "", withFiles(append(main, "a\xff", "")...)), "not printable"},
		"a long name":       {zipOf(t, "", withFiles(append(main, strings.Repeat("a", maxMemberName+1), "")...)), "more than 1024 bytes"},
		"twice":             {zipOf(t, "", withFiles(append(main, "__main__.py", "evil\n")...)), "two members"},
		"symbolic link":     {zipOf(t, "", withHeader(symlink, "/etc/shadow")), "neither a file nor a directory"},
		"directory of data": {strings.ReplaceAll(zipOf(t, "", withHeader(zip.FileHeader{Name: "d_", Method: zip.Store, CRC32: crc32.ChecksumIEEE([]byte("a")), CompressedSize64: 1, UncompressedSize64: 1}, "a")), "d_", "d/"), "directory"},
		"encrypted":         {zipOf(t, "", withHeader(zip.FileHeader{Name: "a", Method: zip.Store, Flags: 1}, "")), "encrypted"},
		"bzip2":             {zipOf(t, "", withHeader(zip.FileHeader{Name: "a", Method: 12}, "")), "compression"},
		"bomb":              {bomb, "more than 1048576 bytes"},
		"bomb that lies":    {zipOf(t, "", lying(bomb)), "cannot be read"},
		"many":              {many, "at most 4096"},
		"base64 of it":      {zipOf(t, "", withFiles(append(main, "data", strings.Repeat("\x00", 1<<20-100))...)), "more than 1048576 bytes"},
	} {
		if text, err := scriptText(c.archive, 1<<20); err == nil || !strings.Contains(err.Error(), c.want) || text != "" {
			t.Errorf("%s: %.200q, %v, want %q", name, text, err, c.want)
		} else if strings.ContainsAny(err.Error(), "\n\x1b\u202e") {
			t.Errorf("%s: the error has the name as it is: %q", name, err)
		}
	}
}

// lying has a file whose header says that it has one byte, and whose stream has as many as the last one of an archive.
func lying(bomb string) func(*zip.Writer) error {
	return func(w *zip.Writer) error {
		from, err := zip.NewReader(strings.NewReader(bomb), int64(len(bomb)))
		if err != nil {
			return err
		}
		f := from.File[len(from.File)-1]
		var content bytes.Buffer
		r, err := f.OpenRaw()
		if err == nil {
			_, err = content.ReadFrom(r)
		}
		if err != nil {
			return err
		}
		return withHeader(zip.FileHeader{Name: "zeros", Method: zip.Deflate, CRC32: f.CRC32, CompressedSize64: f.CompressedSize64, UncompressedSize64: 1}, content.String())(w)
	}
}

// What a file holds cannot end its literal: an archive of such files is the same to Python, as TestScripts/zipapp holds.
func TestLiterals(t *testing.T) {
	for text, want := range map[string]string{
		"":                   `r"""""".encode()`,
		"a\n":                "r\"\"\"a\n\"\"\".encode()",
		`a"`:                 `r'''a"'''.encode()`,
		`"""'`:               `"""\"\"\"'""".encode()`,
		`a\`:                 `"""a\\""".encode()`,
		"a\r\nb":             "\"\"\"a\\r\nb\"\"\".encode()",
		`'''` + `"""`:        `"""'''""\"""".encode()`,
		`'''x""""`:           `"""'''x\"\"\"\"""".encode()`,
		`\"""'''`:            `"""\\\"\"\"'''""".encode()`,
		`'''.encode(); evil`: `r"""'''.encode(); evil""".encode()`,
	} {
		if got := literal(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
