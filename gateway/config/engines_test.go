package config

import (
	"strings"
	"testing"
)

func TestEngineIsChosenByName(t *testing.T) {
	for text, want := range map[string]struct {
		engine string
		pypy   PyPy
		err    string
	}{
		"":                    {engine: NativeEngine},
		`engine = "native"`:   {engine: NativeEngine},
		`engine = "pypy"`:     {engine: PyPyEngine},
		`engine = "cpython"`:  {err: `engine = "cpython": use native or pypy`},
		`engines.pypy.x = ""`: {err: `unknown key "engines.pypy.x"`},
		"[engines.pypy]\nexecutable = \"/opt/../opt/pypy3-c\"\nlibrary = \"lib\"": {engine: NativeEngine, pypy: PyPy{"/opt/pypy3-c", "/etc/gw/lib"}},
		"[engines.pypy]\nexecutable = \"a\\u0000b\"":                              {err: "is no file name"},
	} {
		c, err := Parse([]byte(text), "/etc/gw/config.toml")
		if want.err != "" {
			if err == nil || !strings.Contains(err.Error(), want.err) {
				t.Errorf("%q: %v, want %q", text, err, want.err)
			}
			continue
		}
		if err != nil || c.Engine != want.engine || c.PyPy != want.pypy {
			t.Errorf("%q: %v, %+v", text, err, c)
		}
	}
}
