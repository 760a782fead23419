package local

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shannot-gateway/approvals/policy"
	"shannot-gateway/targets"
)

// TestAttacksHaveNoEffectInTheJail runs what did harm in real shells, as if the policy had let it: the jail alone must leave no
// file and show nothing of /etc/shadow. The texts make a marker at most. Those that write elsewhere, or take long, are left
// to the policy's own test.
func TestAttacksHaveNoEffectInTheJail(t *testing.T) {
	judge, err := policy.New(policy.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../approvals/policy/testdata/attacks.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	shadow, _ := os.ReadFile("/etc/shadow") // of nobody who is not root
	jailed(t, func(t *testing.T, l *Local) {
		dir := t.TempDir()
		for d := dir; d != os.TempDir() && d != "/"; d = filepath.Dir(d) {
			if err := os.Chmod(d, 0o777); err != nil { // #nosec G302 -- a marker must be able to appear there
				break
			}
		}
		ran := 0
		for line := range strings.Lines(string(text)) {
			var a struct {
				ID, Kind, Shell string
				Argv            []string
			}
			if err := json.Unmarshal([]byte(line), &a); err != nil {
				t.Fatal(err)
			}
			if a.Kind == "resources" || strings.Contains(a.Shell, "cron.d") {
				continue
			}
			for _, shell := range []string{"sh", "bash"} {
				argv := a.Argv
				if argv == nil {
					argv = []string{shell, "-c", a.Shell}
				}
				argv = strings.Split(strings.ReplaceAll(strings.Join(argv, "\x00"), "/tmp/x", dir+"/x"), "\x00")
				found, err := l.Resolve(t.Context(), argv[0], "/")
				if err != nil {
					continue // another shell, which is not here
				}
				var out bytes.Buffer
				p, err := l.Start(t.Context(), targets.Command{
					Path: found, Argv: argv, Dir: dir, Env: []string{"PATH=" + targets.Path, "HOME=" + dir}, Stdout: &out, Stderr: &out, ReadOnly: true,
					Hidden: func(name string) bool { return judge.Hides(Name, name) },
				})
				if err != nil {
					t.Fatal(err)
				}
				if _, err := p.Wait(); err != nil {
					t.Fatal(err)
				}
				ran++
				for secret := range strings.Lines(string(shadow)) {
					if strings.Contains(out.String(), strings.TrimSpace(secret)) {
						t.Errorf("%s in %s shows /etc/shadow", a.ID, shell)
						break
					}
				}
				if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
					t.Fatalf("%s in %s made %v, %v", a.ID, shell, names, err)
				}
			}
		}
		if ran < 50 {
			t.Errorf("only %d attacks were made", ran)
		}
	})
}
