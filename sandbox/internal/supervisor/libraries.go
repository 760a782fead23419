//go:build linux && (amd64 || arm64)

package supervisor

import (
	"debug/elf"
	"path/filepath"
	"runtime"
	"slices"
)

// libraryDirs are where distributions keep glibc, most specific first.
var libraryDirs = []string{
	"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu", "/usr/lib/aarch64-linux-gnu",
	"/lib64", "/usr/lib64", "/lib", "/usr/lib",
}

// FindLibrary finds a shared library of this machine for this architecture, in the given directories first. It returns
// its real path, or "".
func FindLibrary(name string, dirs ...string) string {
	for _, dir := range slices.Concat(dirs, libraryDirs) {
		real, err := filepath.EvalSymlinks(filepath.Join(dir, name))
		if err == nil && rightClass(real) {
			return real
		}
	}
	return ""
}

// rightClass reports whether a library is for this architecture; /lib may hold 32-bit ones.
func rightClass(name string) bool {
	f, err := elf.Open(name)
	if err != nil {
		return false
	}
	defer func() { _ = f.Close() }()
	return f.Class == elf.ELFCLASS64 && f.Machine == map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
}
