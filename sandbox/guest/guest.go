// Package guest is the Python side that lives inside the sandbox: it keeps the standard library's subprocess module and
// replaces what starts processes by a request to the gateway. It is not trusted: everything it says may come from the
// script itself.
package guest

import (
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
)

//go:embed sitecustomize.py
var sitecustomize []byte

// Files are the modules that belong on an interpreter's site-packages, by name.
func Files() map[string][]byte {
	return map[string][]byte{"sitecustomize.py": sitecustomize}
}

// Version changes when a file does.
func Version() string {
	sum := sha256.Sum256(sitecustomize)
	return hex.EncodeToString(sum[:8])
}
