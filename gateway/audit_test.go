package gateway

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/gateway/command"
)

// fullLog is an audit log that cannot be written where an operation's summary holds a word.
type fullLog struct {
	mu   sync.Mutex
	word string
}

func (f *fullLog) set(word string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.word = word
}

func (f *fullLog) Record(changes []journal.Revision) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range changes {
		full := f.word == "everything"
		c.Operations(func(_, after *journal.Operation) {
			full = full || f.word != "" && strings.Contains(after.Summary, f.word)
		})
		if full {
			return fmt.Errorf("%w: the audit log cannot be written: no space left", journal.ErrStore)
		}
	}
	return nil
}

func (f *fullLog) Defer([]journal.Revision) {}

func TestNothingRunsWhereTheAuditLogCannotBeWritten(t *testing.T) {
	log := &fullLog{}
	r := startWith(t, "", log)
	agent, approver := r.as(r.agent), r.as(r.approver)

	log.set("everything")
	if out, errs, status := output(t, agent, "echo hello", ""); status != command.ExitFault || out != "" || !strings.Contains(errs, "the audit log cannot be written") {
		t.Errorf("a command: %d, %q, %q", status, out, errs)
	}
	if out, errs, status := output(t, agent, "", "print('hello')"); status != command.ExitFault || out != "" || !strings.Contains(errs, "the audit log cannot be written") {
		t.Errorf("a script: %d, %q, %q", status, out, errs)
	}

	// The log fills up while a script runs. What the script makes of the error changes nothing.
	log.set("two")
	script := `import subprocess
for word in "one", "two", "three":
    try:
        subprocess.run(["echo", word])
    except OSError as e:
        print(e.errno)
`
	if out, errs, status := output(t, agent, "", script); status != command.ExitFault || out != "one\n5\nthree\n" || !strings.Contains(errs, "nothing was run") {
		t.Errorf("a script that goes on: %d, %q, %q", status, out, errs)
	}

	// A decision that cannot be recorded is none.
	mark := filepath.Join(t.TempDir(), "mark")
	log.set("")
	_, notice, status := output(t, agent, "run --wait 0s -c 'import os; os.system(\"touch "+mark+"\")'", "")
	if status != command.ExitWaiting {
		t.Fatalf("%d, %q", status, notice)
	}
	_, id, _ := strings.Cut(notice, "operation 1 of session ")
	id, _, _ = strings.Cut(id, " ")
	log.set("touch")
	if _, errs, status := output(t, approver, shown(t, approver, id), ""); status != command.ExitFault || !strings.Contains(errs, "the audit log cannot be written") {
		t.Errorf("approve: %d, %q", status, errs)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("a command ran whose approval was not recorded")
	}
	log.set("")
	if _, errs, status := output(t, approver, shown(t, approver, id), ""); status != 0 {
		t.Errorf("approve again: %d, %q", status, errs)
	}
	if _, errs, status := output(t, agent, "wait "+id, ""); status != 0 {
		t.Errorf("wait: %d, %q", status, errs)
	}
	if _, err := os.Stat(mark); err != nil {
		t.Errorf("the approved command did not run: %v", err)
	}
}
