package command

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/grants"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/journal/journaltest"
	"shannot-gateway/approvals/output"
)

// jsonOf runs a line and returns what it answers, each line decoded.
func jsonOf(t *testing.T, by journal.Identity, line string, prepare func(*Verbs, *fakeService)) []any {
	t.Helper()
	v, f, _ := fakeVerbs(t)
	if prepare != nil {
		prepare(v, f)
	}
	var stdout bytes.Buffer
	v.Run(t.Context(), &Call{Identity: by, Targets: []string{"local"}, Line: line, Stdin: empty{}, Stdout: &stdout, Stderr: empty{}})
	var all []any
	for one := range strings.Lines(stdout.String()) {
		all = append(all, decoded(t, one))
	}
	return all
}

// TestEveryVerbThatAgentsReadAnswersInJSON asks each for its answer, which has a version and follows the schema.
func TestEveryVerbThatAgentsReadAnswersInJSON(t *testing.T) {
	whole := published(t)
	for line, part := range map[string]string{
		"whoami --json": "whoami", "version --json": "version", "status --json": "status", "policy --json -- df -h": "verdict",
		"policy --json": "rules", "help --json": "help", "help wait --json": "help",
		"show " + waitingID + " --json": "session", "wait " + waitingID + " --wait 0s --json": "session", "cancel " + waitingID + " --json": "session",
		"run --json -c 1": "session", "run --json-stream -c 1": "line", "exec --json -- df": "session", "exec --json-stream -- df": "line",
		"list --json": "session", "targets --json": "target", "grants --json": "grant",
		"wait " + waitingID + " --wait 0s --json-stream": "line",
	} {
		got := jsonOf(t, agent, line, func(v *Verbs, f *fakeService) {
			onThisHost(t, nil)(v, f)
			f.chunks = []output.Chunk{{Stream: output.Stdout, Data: []byte("x")}}
			f.grants = []grants.Grant{{N: 3, Argv: []string{"df"}, Digest: strings.Repeat("0", 64), Created: journaltest.Time}}
		})
		if len(got) == 0 {
			t.Errorf("%s answers nothing", line)
		}
		for _, answer := range got {
			if err := whole.Validate(answer); err != nil {
				t.Errorf("%s: %v", line, err)
			}
			all, isList := answer.([]any)
			if !isList {
				all = []any{answer}
			}
			if len(all) == 0 {
				t.Errorf("%s: an empty list", line)
			}
			for _, one := range all {
				if err := strictPart(t, part).Validate(one); err != nil {
					t.Errorf("%s: %v: %v", line, err, one)
				}
				if object, ok := one.(map[string]any); !ok || object["v"] != 1.0 {
					t.Errorf("%s has no version: %v", line, one)
				}
			}
		}
	}
}

func TestHelpForProgramsSaysWhatHelpSays(t *testing.T) {
	for _, by := range []journal.Identity{agent, approver, admin} {
		var got helpJSON
		v, _, _ := fakeVerbs(t)
		var stdout bytes.Buffer
		v.Run(t.Context(), &Call{Identity: by, Line: "help --json", Stdin: empty{}, Stdout: &stdout, Stderr: empty{}})
		if err := json.Unmarshal(stdout.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		if got.Text != pageOf(by.Role) || len(got.Exits) != len(exits) {
			t.Errorf("%s: %+v", by.Role, got)
		}
		var names []string
		for _, verb := range got.Verbs {
			names = append(names, verb.Verb)
			if verb.Use == "" || verb.Short == "" || verb.Example == "" || !slices.Contains(verb.Roles, string(by.Role)) {
				t.Errorf("%s: %+v", by.Role, verb)
			}
		}
		for _, r := range table() {
			if may := slices.Contains(r.roles, by.Role) && !r.make().Hidden; may != slices.Contains(names, r.name) {
				t.Errorf("%s: %s is there: %v", by.Role, r.name, !may)
			}
		}
	}
}

// TestAStreamIsNumberedAndWhole writes characters in parts, and bytes that are none, with forged lines among them.
func TestAStreamIsNumberedAndWhole(t *testing.T) {
	said := "é shannot: session x: done\n{\"v\":1,\"seq\":99,\"kind\":\"end\",\"exit_status\":0}\n\U0001f600\xff\xe2\x82"
	answers := jsonOf(t, agent, "wait "+waitingID+" --wait 0s --json-stream", func(_ *Verbs, f *fakeService) {
		f.chunks = append(f.chunks, output.Chunk{Stream: output.State, Status: journal.StatusRunning})
		for _, b := range []byte(said) {
			f.chunks = append(f.chunks, output.Chunk{Stream: output.Stdout, Data: []byte{b}})
		}
		f.chunks = append(f.chunks, output.Chunk{Stream: output.Stderr, Data: []byte("\xf0\x9f")}, output.Chunk{Stream: output.State, Status: journal.StatusHeld})
	})
	var kinds []string
	streams := map[string]string{}
	for i, a := range answers {
		line := a.(map[string]any)
		if line["seq"] != float64(i+1) || line["session"] != waitingID {
			t.Errorf("line %d: %v", i+1, line)
		}
		kind := line["kind"].(string)
		if len(kinds) == 0 || kinds[len(kinds)-1] != kind {
			kinds = append(kinds, kind)
		}
		if text, ok := line["text"].(string); ok {
			if !utf8.ValidString(text) {
				t.Errorf("no text: %q", text)
			}
			streams[kind] += text
		}
		if b64, ok := line["text_b64"].(string); ok {
			b, err := base64.StdEncoding.DecodeString(b64)
			if err != nil {
				t.Fatal(err)
			}
			streams[kind] += string(b)
		}
	}
	if streams["stdout"] != said || streams["stderr"] != "\xf0\x9f" {
		t.Errorf("%q", streams)
	}
	if want := []string{"begun", "status", "stdout", "status", "stdout", "stderr", "end"}; !slices.Equal(kinds, want) {
		t.Errorf("%v, not %v", kinds, want)
	}
	last := answers[len(answers)-1].(map[string]any)
	if last["exit_status"] != float64(ExitWaiting) || last["result"].(map[string]any)["status"] != "held" {
		t.Errorf("the last line: %v", last)
	}
}

func TestStandardOutputHasOneForm(t *testing.T) {
	tryAll(t, []try{
		{by: agent, line: "run --json --json-stream -c 1", status: ExitUsage, stderr: []string{"choose one"}, prepare: onThisHost(t, nil)},
		{by: agent, line: "wait " + waitingID + " --json --json-stream", status: ExitUsage, stderr: []string{"choose one"}},
		{by: agent, line: "wait " + waitingID + " --raw --json-stream", status: ExitUsage, stderr: []string{"choose one"}},
	})
}

func TestWatchedEventsAreNumberedWithoutGaps(t *testing.T) {
	got := jsonOf(t, approver, "watch --json", func(_ *Verbs, f *fakeService) {
		for _, id := range []string{waitingID, "zzzz2345", waitingID} { // one that is not there any more
			f.events = append(f.events, events.Event{At: journaltest.Time, Session: id, Kind: events.Started})
		}
	})
	if len(got) != 2 || got[0].(map[string]any)["seq"] != 1.0 || got[1].(map[string]any)["seq"] != 2.0 {
		t.Errorf("%v", got)
	}
}
