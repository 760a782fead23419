package shell

import (
	"errors"
	"testing"

	"mvdan.cc/sh/v3/syntax"
)

// FuzzParse reads texts that mean harm to whoever reads them: the gateway itself does, to know where one may run.
func FuzzParse(f *testing.F) {
	for _, name := range []string{"testdata/same.txt", "testdata/refused.txt"} {
		for _, text := range snippets(f, name) {
			f.Add(text)
		}
	}
	f.Fuzz(func(_ *testing.T, text string) {
		file, err := Parse(text)
		if err != nil {
			var unsupported *Unsupported
			if errors.As(err, &unsupported) {
				_ = unsupported.Error()
			}
			return
		}
		m := &machine{associative: associatives(file), numeric: numerics(file, nil), done: map[*syntax.ArithmExp]bool{}, looped: map[*syntax.WhileClause]bool{}}
		m.strict = strict(file, nil)
		m.rewrite(file)
	})
}

// FuzzPrintf formats what a text gives to printf.
func FuzzPrintf(f *testing.F) {
	f.Add(`%5d|%-5s|%b\n`, "42", "x", `a\tb`)
	f.Add(`%*.*f`, "9", "3", "1.5")
	f.Fuzz(func(t *testing.T, spec, a, b, c string) {
		text, _, err := format(spec, []string{a, b, c})
		if err == nil && len(text) > maxFormatted+3*(maxWidth+len(spec)+len(a)+len(b)+len(c))*(len(spec)+1) {
			t.Errorf("%d bytes", len(text))
		}
	})
}

// FuzzFields splits lines as read does.
func FuzzFields(f *testing.F) {
	f.Add("a,b,,c", ",", 3, true)
	f.Fuzz(func(t *testing.T, line, ifs string, most int, raw bool) {
		got := fields(line, ifs, most, raw)
		if most > 0 && len(got) > most {
			t.Errorf("%d fields", len(got))
		}
	})
}
