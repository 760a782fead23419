//go:build linux && (amd64 || arm64)

package supervisor

import (
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/sandbox"
)

// A limit that cannot be set is named by the setting of the configuration and by that of the gateway's own process.
func TestALimitThatCannotBeSetNamesBothSettings(t *testing.T) {
	limits := ResourceLimits(sandbox.Limits{Memory: 1, Write: 1, CPU: time.Second, Files: 1})
	for resource := range limits {
		var s steps
		s.limit(resource, 1)
		if name := s.list[0].what; !strings.HasPrefix(name, "set RLIMIT_") {
			t.Errorf("limit %d is called %q", resource, name)
		}
	}
	for resource, want := range map[int][]string{
		unix.RLIMIT_NOFILE: {"ulimit -n", "LimitNOFILE=", "[limits] files"}, unix.RLIMIT_AS: {"LimitAS=", "[limits] memory"},
		unix.RLIMIT_FSIZE: {"LimitFSIZE=", "[limits] write"}, unix.RLIMIT_CPU: {"LimitCPU=", "[limits] cpu"},
	} {
		var s steps
		s.limit(resource, 1)
		for _, w := range want {
			if !strings.Contains(s.list[0].what, w) {
				t.Errorf("%q does not name %s", s.list[0].what, w)
			}
		}
	}
}
