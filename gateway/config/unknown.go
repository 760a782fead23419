package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// explain turns the decoder's errors into one line that says where and what to do.
func explain(err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		e := &strict.Errors[0]
		line, _ := e.Position()
		return unknownKey(line, e.Key())
	}
	var e *toml.DecodeError
	if errors.As(err, &e) {
		line, column := e.Position()
		key := ""
		if len(e.Key()) > 0 {
			key = fmt.Sprintf(" at %s", quoteKey(e.Key()))
		}
		return fmt.Errorf("line %d, column %d%s: %s", line, column, key, strings.TrimPrefix(e.Error(), "toml: "))
	}
	return err
}

func unknownKey(line int, key []string) error {
	path, known := siblings(key)
	message := fmt.Sprintf("line %d: unknown key %s", line, quoteKey(path))
	if len(path) == 0 || len(known) == 0 {
		return errors.New(message)
	}
	slices.SortFunc(known, func(a, b string) int {
		if d := distance(path[len(path)-1], a) - distance(path[len(path)-1], b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	nearest := append(slices.Clone(path[:len(path)-1]), known[0])
	return fmt.Errorf("%s; the nearest known one is %s", message, quoteKey(nearest))
}

// siblings follows a key through the document's type to the first part that is not known, and lists what could stand
// there.
func siblings(key []string) (path, known []string) {
	t := reflect.TypeFor[file]()
	for i, part := range key {
		switch {
		case t.Kind() == reflect.Map:
			t = t.Elem()
			continue
		case t.Kind() != reflect.Struct:
			return key[:i+1], nil
		}
		known = known[:0]
		var next reflect.Type
		for field := range t.Fields() {
			name := field.Tag.Get("toml")
			known = append(known, name)
			if name == part {
				next = field.Type
			}
		}
		if next == nil {
			return key[:i+1], known
		}
		t = next
	}
	return key, nil
}

func quoteKey(key []string) string { return fmt.Sprintf("%q", strings.Join(key, ".")) }

// distance is the Levenshtein distance of two keys, each taken up to 64 bytes.
func distance(a, b string) int {
	a, b = a[:min(len(a), 64)], b[:min(len(b), 64)]
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = min(diagonal, row[j], row[j+1]) + 1
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
