//go:build linux && (amd64 || arm64)

package seccomp_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"shannot-gateway/internal/linux/seccomp"
)

// TestListsOfCallsAreThoseOfTheUnixPackage fails after an update of golang.org/x/sys that brings new calls.
func TestListsOfCallsAreThoseOfTheUnixPackage(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "golang.org/x/sys").Output()
	if err != nil {
		t.Skipf("no go command, or no modules, here: %v", err)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		text, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(out)), "unix", "zsysnum_linux_"+arch+".go"))
		if err != nil {
			t.Skip(err)
		}
		known := seccomp.Calls(arch)
		for _, m := range regexp.MustCompile(`SYS_([A-Z0-9_]+) += ([0-9]+)`).FindAllStringSubmatch(string(text), -1) {
			name := strings.ToLower(m[1])
			if name == "arch_specific_syscall" { // a place and no call
				continue
			}
			if strconv.Itoa(int(known[name])) != m[2] {
				t.Errorf("the list of calls lacks %s on %s: %s", name, arch, m[2])
			}
		}
	}
}
