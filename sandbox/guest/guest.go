// Package guest is the Python side that lives inside the sandbox. It keeps the standard library's subprocess module and
// replaces what starts processes by a request to the gateway. Nobody trusts it: everything it says may come from the script
// itself. The package knows no engine: it hands out files. Begin with sitecustomize.py; the folder pypy has what the PyPy
// engine needs besides.
package guest

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"path"
)

//go:embed sitecustomize.py
var sitecustomize []byte

//go:embed _shannot_readdirplus.py
var readdirplus []byte

//go:embed _shannot_preexec.py
var preexec []byte

//go:embed bundle.py
var bundle []byte

// Bundle is the script that writes an installation's byte code to one file, from which the guest imports.
func Bundle() []byte { return bundle }

// Files are the modules that belong into an interpreter's library, by name.
func Files() map[string][]byte {
	return map[string][]byte{"sitecustomize.py": sitecustomize, "_shannot_readdirplus.py": readdirplus, "_shannot_preexec.py": preexec}
}

// Version changes when a file does.
func Version() string {
	h := sha256.New()
	h.Write(sitecustomize)
	h.Write(readdirplus)
	h.Write(preexec)
	h.Write(bundle)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

//go:embed pypy/*.py
var pypyFiles embed.FS

// PyPyFiles are the modules that stand in for the standard library's on the path of a sandboxed PyPy (Python 3.6), by
// name: those that start processes or need what such an interpreter does not have.
func PyPyFiles() map[string][]byte {
	const dir = "pypy"
	entries, err := pypyFiles.ReadDir(dir)
	if err != nil {
		panic(err) // embedded
	}
	out := map[string][]byte{}
	for _, e := range entries {
		text, err := pypyFiles.ReadFile(path.Join(dir, e.Name()))
		if err != nil {
			panic(err)
		}
		out[e.Name()] = text
	}
	return out
}
