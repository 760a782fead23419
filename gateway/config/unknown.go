package config

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"shannot-gateway/internal/spelling"
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
	nearest := append(slices.Clone(path[:len(path)-1]), spelling.Nearest(path[len(path)-1], known))
	return fmt.Errorf("%s; the nearest known one is %s", message, quoteKey(nearest))
}

// siblings follows a key through the document's type to the first part that it does not know, and lists what could stand
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
