package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode"
)

func TestLogHoldsNothingThatATerminalObeys(t *testing.T) {
	var b bytes.Buffer
	hostile := "a\x1b[2J\u202eb\u200b\u009b\xff\nlevel=ERROR \u0441at"
	newLog(&b).With("with", hostile).Error("said "+hostile, "error", errors.New(hostile), "name", hostile, "list", []string{hostile}, "n", 7)
	text := b.String()
	if strings.Count(text, "\n") != 1 || !strings.HasSuffix(text, "\n") {
		t.Errorf("not one line: %q", text)
	}
	for _, r := range strings.TrimSuffix(text, "\n") {
		if r > unicode.MaxASCII || !unicode.IsPrint(r) {
			t.Errorf("%U stands raw in %q", r, text)
		}
	}
	for _, want := range []string{`\\x1b[2J`, `\\u202e`, `\\u0441at`, "level=ERROR", "n=7", "time="} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in %q", want, text)
		}
	}
}
