package change

import (
	"strings"
	"testing"
)

func TestPathsInWords(t *testing.T) {
	for word, want := range map[string]string{
		"/tmp/a":                        "/tmp/a /tmp/a",
		"--file=/tmp/a":                 "/tmp/a",
		"cat /tmp/a >/tmp/b;ls /tmp/c|": "/tmp/a /tmp/b /tmp/c",
		`cat "/tmp/a b"`:                "/tmp/a",
		"for f in /tmp/d/*.log; do":     "/tmp/d/ /tmp/d/",
		"cat /tmp/d/$x":                 "/tmp/d/ /tmp/d/",
		"a/b":                           "",
		"http://x/tmp/a":                "//x/tmp/a", // no path of scratch is named so
		"x:/tmp/a:/tmp/b":               "/tmp/a /tmp/b",
		"$(cat /tmp/a)":                 "/tmp/a",
		"@/tmp/a":                       "/tmp/a",
		"open('/tmp/a')":                "/tmp/ /tmp/a",
	} {
		if got := strings.Join(pathsIn(word), " "); got != want {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}

func FuzzPathsIn(f *testing.F) {
	f.Add("cat /tmp/a > /tmp/b")
	f.Fuzz(func(t *testing.T, word string) {
		for _, p := range pathsIn(word) {
			if !strings.HasPrefix(p, "/") {
				t.Errorf("%q names %q", word, p)
			}
		}
	})
}
