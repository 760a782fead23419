package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// The engines, by the names that a file and an agent give them.
const (
	NativeEngine = "native" // the embedded CPython
	PyPyEngine   = "pypy"   // a pypy-sandbox executable
)

// Engines are the names of all engines.
func Engines() []string { return []string{NativeEngine, PyPyEngine} }

func (f *file) checkEngines(c *Config) error {
	c.Shell.Enabled = f.Engines.Shell.Enabled
	c.Engine = NativeEngine
	if f.Engine != "" {
		c.Engine = f.Engine
	}
	if !slices.Contains(Engines(), c.Engine) {
		return fmt.Errorf("engine = %q: use %s", c.Engine, strings.Join(Engines(), " or "))
	}
	for _, p := range []struct {
		key, from string
		to        *string
	}{{"executable", f.Engines.PyPy.Executable, &c.PyPy.Executable}, {"library", f.Engines.PyPy.Library, &c.PyPy.Library}} {
		switch {
		case p.from == "":
		case strings.ContainsRune(p.from, 0):
			return fmt.Errorf("[engines.pypy] %s = %q is no file name", p.key, p.from)
		case filepath.IsAbs(p.from):
			*p.to = filepath.Clean(p.from)
		default:
			*p.to = filepath.Join(filepath.Dir(c.Path), p.from)
		}
	}
	return nil
}
