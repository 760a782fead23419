package diff

import (
	"bytes"
	"unicode/utf8"
)

// SampleSize is how much of a content that is not shown is looked at, from its beginning, in bytes.
const SampleSize = 64 << 10

// Sample is what can be said of a content that is not shown. All of it but Type is as it came.
type Sample struct {
	Type    string // what it seems to be, by its first bytes
	Size    int64  // bytes in all
	Head    []byte // the first of them
	Strings []string
}

const (
	headSize     = 16 // bytes
	shortest     = 6  // of a string in it, in bytes
	longest      = 60
	mostStrings  = 8
	sampleString = `abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-./:%=,;@+()[]{}<>"'$&*!?#`
)

// magic are the first bytes by which files are told apart (file(1), magic(5)).
var magic = []struct{ begins, is string }{
	{"\x7fELF", "a program or library (ELF)"}, {"MZ", "a program for Windows (PE)"}, {"\xcf\xfa\xed\xfe", "a program for macOS (Mach-O)"},
	{"!<arch>\n", "an archive of objects or a Debian package (ar)"}, {"\x1f\x8b", "compressed (gzip)"}, {"BZh", "compressed (bzip2)"},
	{"\xfd7zXZ\x00", "compressed (xz)"}, {"\x28\xb5\x2f\xfd", "compressed (zstd)"}, {"PK\x03\x04", "an archive (zip)"},
	{"\x89PNG", "a picture (PNG)"}, {"\xff\xd8\xff", "a picture (JPEG)"}, {"GIF8", "a picture (GIF)"}, {"%PDF", "a document (PDF)"},
	{"SQLite format 3\x00", "a database (SQLite)"}, {"\xca\xfe\xba\xbe", "Java's code, or a program for macOS"}, {"\x00asm", "a program (WebAssembly)"},
	{"\xed\xab\xee\xdb", "a package (RPM)"}, {"#!", "a script"},
}

// Take says what can be said of a content, from its beginning and its size.
func Take(beginning []byte, size int64) Sample {
	s := Sample{Type: "no text", Size: size, Head: bytes.Clone(beginning[:min(headSize, len(beginning))])}
	whole := beginning
	if cut := len(whole) - utf8.UTFMax; int64(len(whole)) < size && cut > 0 {
		whole = whole[:cut] // a character may be cut in two at the end
		for len(whole) > 0 && !utf8.RuneStart(beginning[len(whole)]) {
			whole = whole[:len(whole)-1]
		}
	}
	if utf8.Valid(whole) && bytes.IndexByte(whole, 0) < 0 {
		s.Type = "text, as far as its beginning says"
	}
	for _, m := range magic {
		if bytes.HasPrefix(beginning, []byte(m.begins)) {
			s.Type = m.is
			break
		}
	}
	for at := 0; at < len(beginning) && len(s.Strings) < mostStrings; {
		end := at
		for end < len(beginning) && end-at < longest && bytes.IndexByte([]byte(sampleString), beginning[end]) >= 0 {
			end++
		}
		if end-at >= shortest {
			s.Strings = append(s.Strings, string(beginning[at:end]))
		}
		at = end + 1
	}
	return s
}
