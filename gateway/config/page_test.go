package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A row of a table of keys in docs/configuration.md.
type pageRow struct{ table, key, value string }

var (
	pageSpan   = regexp.MustCompile("`([^`]+)`")
	pageTables = regexp.MustCompile(`\[([a-zA-Z.]+)\]`)
)

// pageRows reads the keys that the page has, each with its table ("" for the top) and what it says of the default.
func pageRows(t *testing.T) (rows []pageRow) {
	t.Helper()
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	keys := false
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.ReplaceAll(line, `\|`, "\x00"), "|")
		switch {
		case strings.HasPrefix(line, "#"):
			tables = nil
			for _, m := range pageTables.FindAllStringSubmatch(line, -1) {
				tables = append(tables, m[1])
			}
			if len(tables) == 0 {
				tables = []string{""}
			}
		case strings.HasPrefix(line, "| key | default |"):
			keys = true
		case !strings.HasPrefix(line, "|"):
			keys = false
		case keys && len(cells) == 5:
			table := tables[0]
			if len(tables) == 2 && strings.Contains(line, "in `["+tables[1]+"]`") {
				table = tables[1]
			}
			names := pageSpan.FindAllStringSubmatch(cells[1], -1)
			value := strings.TrimSpace(strings.ReplaceAll(cells[2], "\x00", "|"))
			values := strings.Split(value, ", ")
			for i, m := range names {
				if len(names) == len(values) {
					value = values[i]
				}
				rows = append(rows, pageRow{table, m[1], value})
			}
		}
	}
	return rows
}

func TestConfigurationPageHasEveryKey(t *testing.T) {
	rows := pageRows(t)
	var all []pageRow // keys of the file, with their tables
	var walk func(table string, of reflect.Type)
	walk = func(table string, of reflect.Type) {
		for f := range of.Fields() {
			key := f.Tag.Get("toml")
			under := strings.TrimPrefix(table+"."+key, ".")
			switch {
			case f.Type.Name() == "fingerprint" || f.Type.Name() == "duration":
				all = append(all, pageRow{table: table, key: key})
			case f.Type.Kind() == reflect.Struct && table == "remotes.NAME":
				for sub := range f.Type.Fields() {
					all = append(all, pageRow{table: table, key: key + "." + sub.Tag.Get("toml")})
				}
			case f.Type.Kind() == reflect.Struct:
				walk(under, f.Type)
			case key == "identities" || key == "remotes":
				walk(key+".NAME", f.Type.Elem())
			case key == "programs" || key == "groups": // [policy.md] and a paragraph have these
			default:
				all = append(all, pageRow{table: table, key: key})
			}
		}
	}
	walk("", reflect.TypeFor[file]())
	if len(all) < 80 {
		t.Fatalf("only %d keys were found", len(all))
	}
	for _, k := range all {
		if !slices.ContainsFunc(rows, func(r pageRow) bool { return r.table == k.table && r.key == k.key }) {
			t.Errorf("docs/configuration.md does not have %s in [%s]", k.key, k.table)
		}
	}
	for _, r := range rows {
		if !slices.ContainsFunc(all, func(k pageRow) bool { return k.table == r.table && k.key == r.key }) {
			t.Errorf("docs/configuration.md has %s in [%s], which is no key", r.key, r.table)
		}
	}
}

// literal is a TOML value in backquotes and nothing else.
var literal = regexp.MustCompile("^`([^`]+)`$")

// TestConfigurationPageSaysTheDefaults parses a file that says what the page says. Only its hash differs from an empty one.
func TestConfigurationPageSaysTheDefaults(t *testing.T) {
	var b strings.Builder
	said, table := 0, ""
	for _, r := range pageRows(t) {
		m := literal.FindStringSubmatch(r.value)
		if m == nil || strings.HasSuffix(r.table, "NAME") {
			continue
		}
		if r.table != table {
			table = r.table
			b.WriteString("[" + table + "]\n")
		}
		b.WriteString(r.key + " = " + m[1] + "\n")
		said++
	}
	if said < 50 {
		t.Fatalf("the page says only %d defaults:\n%s", said, b.String())
	}
	got, err := Parse([]byte(b.String()), "/etc/x/config.toml")
	if err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	want, err := Parse(nil, "/etc/x/config.toml")
	if err != nil {
		t.Fatal(err)
	}
	g, w := reflect.ValueOf(*got), reflect.ValueOf(*want)
	for i := range g.NumField() {
		if name := g.Type().Field(i).Name; name != "SHA256" && !reflect.DeepEqual(g.Field(i).Interface(), w.Field(i).Interface()) {
			t.Errorf("by docs/configuration.md the default of %s is %v, and it is %v", name, g.Field(i), w.Field(i))
		}
	}
}
