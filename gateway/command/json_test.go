package command

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/journal/journaltest"
)

//go:generate go test -run "TestExamplesOfThePageAreWhatIsAnswered|TestSchemaIsThatOfTheAnswers" . -update

const jsonPage = "../../docs/json.md"

// answered runs a line and returns its JSON, indented.
func answered(t *testing.T, op journal.Operation, line string, pick ...string) string {
	t.Helper()
	v, f, _ := fakeVerbs(t)
	f.sessions = []journal.Session{journaltest.Session(op)}
	f.events = []events.Event{{At: journaltest.Time, Session: waitingID, Kind: events.Decided, By: "alice"}}
	if line == "watch --json" {
		if _, err := f.decide(approver, waitingID, journal.Approved, ""); err != nil {
			t.Fatal(err)
		}
	}
	var stdout bytes.Buffer
	v.Run(t.Context(), &Call{Identity: approver, Line: line, Stdin: empty{}, Stdout: &stdout, Stderr: empty{}})
	text := stdout.Bytes()
	if pick != nil {
		var object map[string]json.RawMessage
		var list []json.RawMessage
		if json.Unmarshal(text, &object) != nil || json.Unmarshal(object[pick[0]], &list) != nil || len(list) != 1 {
			t.Fatalf("%s has no %q: %s", line, pick, text)
		}
		text = list[0]
	}
	var out bytes.Buffer
	if err := json.Indent(&out, bytes.TrimSpace(text), "", "  "); err != nil {
		t.Fatal(err)
	}
	return out.String() + "\n"
}

func TestExamplesOfThePageAreWhatIsAnswered(t *testing.T) {
	page, err := os.ReadFile(jsonPage)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for name, want := range map[string]string{
		"command": answered(t, journaltest.Operations()[1].Op, "show "+waitingID+" --json"),
		"write":   answered(t, journaltest.Operations()[2].Op, "show "+waitingID+" --json", "operations"),
		"event":   answered(t, journaltest.Operations()[1].Op, "watch --json"),
	} {
		before, rest, ok := strings.Cut(text, "<!-- example: "+name+" -->\n```json\n")
		example, after, closed := strings.Cut(rest, "```\n")
		switch {
		case !ok || !closed:
			t.Errorf("the page has no example %s", name)
		case *update:
			text = before + "<!-- example: " + name + " -->\n```json\n" + want + "```\n" + after
		case example != want:
			t.Errorf("the example %s is not what is answered (go generate ./gateway/command writes it anew):\n%s", name, want)
		}
	}
	if *update && !t.Failed() {
		if err := os.WriteFile(jsonPage, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestThePageHasEveryFieldOfJSON keeps docs/json.md complete.
func TestThePageHasEveryFieldOfJSON(t *testing.T) {
	page, err := os.ReadFile(jsonPage)
	if err != nil {
		t.Fatal(err)
	}
	all := append(slices.Collect(maps.Values(parts)), reflect.TypeFor[verbJSON](), reflect.TypeFor[flagJSON](), reflect.TypeFor[exitJSON](), reflect.TypeFor[link](),
		reflect.TypeFor[configurationJSON]())
	for _, of := range all {
		for i := range of.NumField() {
			name, _, _ := strings.Cut(of.Field(i).Tag.Get("json"), ",")
			if name != "" && !strings.HasSuffix(name, "_b64") && !strings.Contains(string(page), "`"+name+"`") {
				t.Errorf("%s: the page does not describe %q", of.Name(), name)
			}
		}
	}
}

func TestJSONHasAFieldForEveryDetail(t *testing.T) {
	for _, o := range journaltest.Operations() {
		code := 3
		op := o.Op
		op.Decision, op.By, op.ByKey, op.Reason, op.Grant, op.OutputCut = journal.Unknown, "alice", "SHA256:alice", "why", 7, true
		op.Decided, op.Started, op.Finished, op.ExitCode = journaltest.Time, journaltest.Time, journaltest.Time, &code
		for _, d := range op.Details() {
			isFile := d.Scratch > 0 || op.File != nil && d.Section == journal.WorkSection && d.Name != "summary"
			if isFile && !(&fileJSON{}).take(&d) || !isFile && !(&operationJSON{}).take(&d) {
				t.Errorf("%s: JSON has no field for %s", o.Name, d.Name)
			}
		}
	}
}

func TestLongInputAndDifferencesAreCutAndSaySo(t *testing.T) {
	op := journaltest.Operations()[1].Op
	op.Command.InputData = []byte(strings.Repeat("é", maxJSONStdin))
	s := journaltest.Session(op)
	got := describe(s, maxJSONStdin).Operations[0]
	if got.Stdin == nil || len(*got.Stdin) != maxJSONStdin || !got.StdinTruncated || *got.StdinBytes != 2*maxJSONStdin {
		t.Errorf("standard input: %v bytes of %v, truncated %v", len(*got.Stdin), *got.StdinBytes, got.StdinTruncated)
	}
	v, f, _ := fakeVerbs(t)
	f.text[1] = strings.Repeat("a line\n", maxJSONDiff)
	f.sessions = []journal.Session{journaltest.Session(journaltest.Operations()[2].Op)}
	file := wholeJSON(v.Sessions, f.sessions[0]).Operations[0].File
	if len(file.Diff) > maxJSONDiff || len(file.Diff) < maxJSONDiff-4 || !file.DiffTruncated {
		t.Errorf("the difference has %d bytes, truncated %v", len(file.Diff), file.DiffTruncated)
	}
}
