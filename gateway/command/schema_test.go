package command

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"

	"shannot-gateway/approvals/events"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/journal/journaltest"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/targets"
)

const schemaFile = "../../docs/json.schema.json"

// parts are the objects of the schema.
var parts = map[string]reflect.Type{
	"session": reflect.TypeFor[sessionJSON](), "operation": reflect.TypeFor[operationJSON](), "file": reflect.TypeFor[fileJSON](),
	"file_state": reflect.TypeFor[fileStateJSON](), "reads": reflect.TypeFor[readsJSON](), "event": reflect.TypeFor[eventJSON](),
	"line": reflect.TypeFor[streamJSON](), "whoami": reflect.TypeFor[whoamiJSON](), "version": reflect.TypeFor[versionJSON](),
	"status": reflect.TypeFor[statusJSON](), "target": reflect.TypeFor[reached](), "grant": reflect.TypeFor[grantJSON](),
	"verdict": reflect.TypeFor[verdictJSON](), "rules": reflect.TypeFor[rulesJSON](), "help": reflect.TypeFor[helpJSON](),
	"transcript": reflect.TypeFor[transcriptJSON](), "transcript_line": reflect.TypeFor[transcriptLineJSON](),
	"rehearsal": reflect.TypeFor[rehearsalJSON](), "rehearsed": reflect.TypeFor[rehearsedJSON](), "rehearsed_change": reflect.TypeFor[changedJSON](),
	"refused": reflect.TypeFor[refusedJSON](),
}

// answers are the parts that are an answer by themselves, and lists those of which a verb answers an array.
var (
	answers = []string{"session", "event", "line", "whoami", "version", "status", "verdict", "rules", "help", "rehearsal"}
	lists   = []string{"session", "target", "grant"}
)

// words are the values of fields that have no others, by part and field.
var words = map[string][]any{
	"session.status": list(journal.StatusRunning, journal.StatusHeld, journal.StatusParked, journal.StatusDone, journal.StatusFailed,
		journal.StatusRejected, journal.StatusCancelled, journal.StatusExpired, journal.StatusTimedOut, journal.StatusRolledBack, journal.StatusPlanned),
	"line.kind":   {begunKind, stdoutKind, stderrKind, statusKind, endKind},
	"line.status": list(journal.StatusRunning, journal.StatusHeld, journal.StatusParked),
	"operation.kind": list(journal.CommandKind, journal.Write, journal.Delete, journal.Rename, journal.Mkdir, journal.Rmdir, journal.Symlink,
		journal.Chmod, journal.Chown, journal.Touch, journal.RollbackKind),
	"operation.verdict": list(policy.Allow, policy.Ask, policy.Deny),
	"operation.risk":    list(policy.Safe, policy.Caution, policy.Danger, policy.Unknown),
	"operation.decision": list(journal.Waiting, journal.Allowed, journal.Denied, journal.Approved, journal.Rejected, journal.Expired,
		journal.Cancelled, journal.Conflicted, journal.Failed, journal.Unknown, journal.Planned),
	"rehearsed_change.kind": list(targets.Made, targets.Changed, targets.Deleted, targets.Renamed, targets.Attributes, targets.Touched),
	"operation.stdin_from":  list(journal.InputNone, journal.InputData, journal.InputFile, journal.InputStream),
	"event.kind": list(events.Started, events.Waiting, events.Decided, events.Finished, events.Parked, events.Ended, events.RolledBack,
		events.Lost, events.Reloaded),
}

// list is values as the texts that they are in JSON.
func list(values ...any) (texts []any) {
	for _, v := range values {
		texts = append(texts, reflect.ValueOf(v).String())
	}
	return texts
}

var (
	times   = []string{"created", "ended", "deadline", "at", "decided", "started", "finished", "mtime"}
	digests = regexp.MustCompile(`(^|_)(sha256|digest)$`)
	hex64   = "^[0-9a-f]{64}$"
)

// schema makes the schema of all answers of the types that are marshalled. A strict one allows no field that it does not name.
func schema(t *testing.T, strict bool) *jsonschema.Schema {
	t.Helper()
	byType := map[reflect.Type]*jsonschema.Schema{reflect.TypeFor[[]byte](): {Type: "string", ContentEncoding: "base64"}}
	for name, of := range parts {
		byType[of] = &jsonschema.Schema{Ref: "#/$defs/" + name}
	}
	root := &jsonschema.Schema{
		Schema: "https://json-schema.org/draft/2020-12/schema", Title: "What the Shannot gateway answers with --json",
		Description: "A session, an event, a line of a stream, or what another verb answers: an object, or an array of them. docs/json.md " +
			"describes each field. Fields may be added within a version.",
		Defs: map[string]*jsonschema.Schema{},
	}
	for _, name := range answers {
		root.AnyOf = append(root.AnyOf, &jsonschema.Schema{Ref: "#/$defs/" + name})
	}
	for _, name := range lists {
		root.AnyOf = append(root.AnyOf, &jsonschema.Schema{Type: "array", Items: &jsonschema.Schema{Ref: "#/$defs/" + name}})
	}
	for name, of := range parts {
		others := maps.Clone(byType)
		delete(others, of)
		s, err := jsonschema.ForType(of, &jsonschema.ForOptions{TypeSchemas: others})
		if err != nil {
			t.Fatal(err)
		}
		for i := range of.NumField() {
			field := of.Field(i)
			key, options, _ := strings.Cut(field.Tag.Get("json"), ",")
			if field.Anonymous && field.Type.Kind() == reflect.Pointer { // its fields are there where it is
				for n := range field.Type.Elem().NumField() {
					own, _, _ := strings.Cut(field.Type.Elem().Field(n).Tag.Get("json"), ",")
					s.Required = slices.DeleteFunc(s.Required, func(r string) bool { return r == own })
				}
			}
			if p := s.Properties[key]; p != nil {
				nullable := field.Type.Kind() == reflect.Pointer && options == ""
				s.Properties[key] = narrowed(name, key, p, nullable)
			}
		}
		if !strict {
			s.AdditionalProperties = nil
		}
		root.Defs[name] = s
	}
	return root
}

// narrowed is what is known of a field beyond its type in Go.
func narrowed(part, key string, p *jsonschema.Schema, nullable bool) *jsonschema.Schema {
	if p.Type == "" {
		p.Types = slices.DeleteFunc(p.Types, func(s string) bool { return s == "null" })
		if len(p.Types) == 1 {
			p.Type = p.Types[0]
		}
		if len(p.Types) < 2 {
			p.Types = nil
		}
	}
	switch {
	case key == "v":
		p.Const = jsonschema.Ptr[any](jsonVersion)
	case words[part+"."+key] != nil:
		p.Enum = words[part+"."+key]
	case slices.Contains(times, key):
		p.Format = "date-time"
	case digests.MatchString(key):
		p.Pattern = hex64
	case key == "before_digests":
		p.Items.Pattern = hex64
	}
	if !nullable {
		return p
	}
	if p.Ref != "" {
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{p, {Type: "null"}}}
	}
	p.Type, p.Types = "", []string{p.Type, "null"}
	return p
}

func TestSchemaIsThatOfTheAnswers(t *testing.T) {
	want, err := json.MarshalIndent(schema(t, false), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile(schemaFile, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs/json.schema.json is not the schema of what is answered: go generate ./gateway/command writes it anew")
	}
}

// published is the schema in the documentation, ready to validate.
func published(t *testing.T) *jsonschema.Resolved {
	t.Helper()
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var s jsonschema.Schema
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return resolved(t, &s)
}

func resolved(t *testing.T, s *jsonschema.Schema) *jsonschema.Resolved {
	t.Helper()
	r, err := s.Resolve(nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// strictPart is one part of the schema, which allows no field that it does not name.
func strictPart(t *testing.T, name string) *jsonschema.Resolved {
	t.Helper()
	s := schema(t, true)
	s.AnyOf, s.Ref = nil, "#/$defs/"+name
	return resolved(t, s)
}

func decoded(t *testing.T, text string) any {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

// TestExamplesOfThePageFollowTheSchema takes the examples from the page itself.
func TestExamplesOfThePageFollowTheSchema(t *testing.T) {
	page, err := os.ReadFile(jsonPage)
	if err != nil {
		t.Fatal(err)
	}
	part := map[string]string{"command": "session", "write": "operation", "event": "event"}
	examples := regexp.MustCompile("(?s)<!-- example: (\\w+) -->\n```json\n(.*?)```\n").FindAllStringSubmatch(string(page), -1)
	if len(examples) != len(part) {
		t.Errorf("the page has %d examples, want %d", len(examples), len(part))
	}
	for _, e := range examples {
		if err := strictPart(t, part[e[1]]).Validate(decoded(t, e[2])); err != nil {
			t.Errorf("the example %s: %v", e[1], err)
		}
	}
}

// TestEveryAnswerFollowsTheSchema asks for an operation of every kind, in every state, by every verb that answers in JSON.
func TestEveryAnswerFollowsTheSchema(t *testing.T) {
	whole, session, event := published(t), strictPart(t, "session"), strictPart(t, "event")
	for _, o := range journaltest.Operations() {
		for _, line := range []string{"show " + waitingID + " --json", "list --json", "watch --json"} {
			answer := decoded(t, answered(t, o.Op, line))
			if err := whole.Validate(answer); err != nil {
				t.Errorf("%s: %s: %v", o.Name, line, err)
			}
			switch v := answer.(type) {
			case []any:
				if len(v) != 1 {
					t.Errorf("%s: %s has %d sessions", o.Name, line, len(v))
				}
				answer = v[0]
			case map[string]any:
			}
			strict := session
			if line == "watch --json" {
				strict = event
			}
			if err := strict.Validate(answer); err != nil {
				t.Errorf("%s: %s: %v", o.Name, line, err)
			}
		}
		code := 3
		op := o.Op
		op.Decision, op.By, op.ByKey, op.Reason, op.Grant, op.OutputCut = journal.Unknown, "alice", "SHA256:alice", "why", 7, true
		op.Decided, op.Started, op.Finished, op.ExitCode = journaltest.Time, journaltest.Time, journaltest.Time, &code
		s := describe(journaltest.Session(op), maxJSONStdin)
		s.withOutput(&collector{data: []byte("text")}, &collector{data: []byte{0xff}})
		s.Reads = &readsJSON{Files: 1, SHA256: strings.Repeat("0", 64), List: []string{"/etc/hosts"}}
		text, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if err := session.Validate(decoded(t, string(text))); err != nil {
			t.Errorf("%s, ended: %v", o.Name, err)
		}
	}
}

// TestSchemaRefusesWhatIsNoAnswer shows that the schema says something.
func TestSchemaRefusesWhatIsNoAnswer(t *testing.T) {
	s := published(t)
	example := answered(t, journaltest.Operations()[1].Op, "show "+waitingID+" --json")
	answer := func() map[string]any { return decoded(t, example).(map[string]any) }
	operation := func(of map[string]any) map[string]any { return of["operations"].([]any)[0].(map[string]any) }
	more := answer()
	more["of_a_later_gateway"], operation(more)["of_a_later_gateway"] = 1, true
	if err := s.Validate(more); err != nil {
		t.Errorf("a field that is added within the version is refused: %v", err)
	}
	for _, required := range []string{"v", "session", "status", "identity", "target", "created", "deadline", "exit_code", "truncated", "operations"} {
		less := answer()
		delete(less, required)
		if s.Validate(less) == nil {
			t.Errorf("a session without %q is one", required)
		}
	}
	for name, spoil := range map[string]func(map[string]any){
		"another version":          func(a map[string]any) { a["v"] = 2 },
		"a status that is none":    func(a map[string]any) { a["status"] = "sleeping" },
		"an exit code in words":    func(a map[string]any) { a["exit_code"] = "0" },
		"a digest that is none":    func(a map[string]any) { a["waiting_digest"] = "7468fb82" },
		"no list of operations":    func(a map[string]any) { a["operations"] = nil },
		"a decision that is none":  func(a map[string]any) { operation(a)["decision"] = "maybe" },
		"a kind that is none":      func(a map[string]any) { operation(a)["kind"] = "reboot" },
		"an operation without one": func(a map[string]any) { delete(operation(a), "digest") },
		"words that are a text":    func(a map[string]any) { operation(a)["argv"] = "tool --do it" },
	} {
		bad := answer()
		spoil(bad)
		if s.Validate(bad) == nil {
			t.Errorf("an answer with %s follows the schema", name)
		}
	}
}

// TestThePageHasEveryWordOfTheSchema: a value that a field may have stands on the page.
func TestThePageHasEveryWordOfTheSchema(t *testing.T) {
	page, err := os.ReadFile(jsonPage)
	if err != nil {
		t.Fatal(err)
	}
	for field, all := range words {
		for _, w := range all {
			if !strings.Contains(string(page), "`"+w.(string)+"`") {
				t.Errorf("the page does not name %q of %s", w, field)
			}
		}
	}
}
