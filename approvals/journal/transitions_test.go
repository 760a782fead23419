package journal

import (
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"shannot-gateway/approvals/policy"
)

// occurrences are those of a table, each once.
func occurrences() (operations, sessions []Occurrence) {
	of, all := map[Occurrence]bool{}, map[Occurrence]bool{}
	for _, t := range operationTable {
		of[t.what] = true
	}
	for _, t := range sessionTable {
		all[t.what] = true
	}
	return slices.Sorted(maps.Keys(of)), slices.Sorted(maps.Keys(all))
}

// proposed are new operations of every kind that a condition tells apart.
func proposed() []Operation {
	command := &Command{Target: "local", Path: "/bin/true", Argv: Strings{"true"}, Input: InputNone}
	file := &File{Op: Write, Target: "local", Path: "/srv/a", SHA256: SHA256Hex(nil)}
	return []Operation{
		{N: 1, Kind: CommandKind, Verdict: policy.Allow, Command: command, Digest: command.Digest()},
		{N: 1, Kind: CommandKind, Verdict: policy.Ask, Command: command, Digest: command.Digest()},
		{N: 1, Kind: CommandKind, Verdict: policy.Deny, Command: command, Digest: command.Digest()},
		{N: 1, Kind: Write, Verdict: policy.Ask, File: file, Digest: file.Digest()},
		{N: 1, Kind: Write, Verdict: policy.Deny, File: file, Digest: file.Digest()},
	}
}

var alice = Identity{Name: "alice", Role: Approver, Fingerprint: "SHA256:alice"}

// someTime is never zero.
var someTime = rapid.Custom(func(t *rapid.T) time.Time { return time.Unix(rapid.Int64Range(1, 1000).Draw(t, "time"), 0).UTC() })

// anyEvent draws an event that carries anything, whether it makes sense or not.
func anyEvent(t *rapid.T, of []Occurrence) Event {
	e := Event{What: rapid.SampledFrom(of).Draw(t, "what")}
	fill(&e, func(string) bool { return rapid.Bool().Draw(t, "carried") }, t)
	return e
}

// rightEvent draws an event that carries what it must, and perhaps what it may.
func rightEvent(t *rapid.T, what Occurrence, must, may []string) Event {
	e := Event{What: what}
	fill(&e, func(field string) bool {
		return slices.Contains(must, field) || slices.Contains(may, field) && rapid.Bool().Draw(t, "may")
	}, t)
	return e
}

func fill(e *Event, carries func(string) bool, t *rapid.T) {
	for _, f := range eventFields {
		if !carries(f.name) {
			continue
		}
		switch f.name {
		case "At":
			e.At = someTime.Draw(t, "at")
		case "By":
			e.By = alice
		case "Reason":
			e.Reason = rapid.StringMatching(`[a-z ]{1,8}`).Draw(t, "reason")
		case "Grant":
			e.Grant = rapid.IntRange(1, 9).Draw(t, "grant")
		case "Result":
			e.Result = &Result{ExitCode: rapid.IntRange(0, 255).Draw(t, "exit"), Signal: rapid.IntRange(0, 15).Draw(t, "signal"), Output: SHA256Hex([]byte("out")), OutputCut: rapid.Bool().Draw(t, "cut")}
		case "End":
			statuses := append(slices.Sorted(maps.Keys(statusShapes)), "resting")
			e.End = &Ending{Status: rapid.SampledFrom(statuses).Draw(t, "status"), ExitCode: rapid.IntRange(0, 255).Draw(t, "exit")}
		case "Deadline":
			e.Deadline = someTime.Draw(t, "deadline")
		case "GoesOn":
			e.GoesOn = true
		case "NothingSent":
			e.NothingSent = true
		}
	}
}

// onlyChanged fails where two records differ in a field that is not named.
func onlyChanged[T any](t *rapid.T, before, after T, named []string) {
	b, a := reflect.ValueOf(before), reflect.ValueOf(after)
	for i := range b.NumField() {
		name := b.Type().Field(i).Name
		if !slices.Contains(named, name) && !reflect.DeepEqual(b.Field(i).Interface(), a.Field(i).Interface()) {
			t.Fatalf("%s was changed from %v to %v; the table says that only %v are", name, b.Field(i), a.Field(i), named)
		}
	}
}

// step lets an event happen to an operation, and holds what it did against the table.
func step(t *rapid.T, o *Operation, e Event) {
	before := *o
	row, _ := before.transition(&e)
	err := o.Apply(e)
	switch {
	case err != nil && !errors.Is(err, ErrTransition):
		t.Fatalf("%+v: %v", e, err)
	case err != nil:
		if !reflect.DeepEqual(before, *o) {
			t.Fatalf("%v, and still %+v became %+v", err, before, *o)
		}
		return
	case row == nil:
		t.Fatalf("%q happened to an operation that is %s", e.What, before.State())
	case o.State() != row.to:
		t.Fatalf("%q made %s of %s; the table says %s", e.What, o.State(), before.State(), row.to)
	}
	onlyChanged(t, before, *o, row.sets)
	if found := o.misshapen(); len(found) > 0 {
		t.Fatalf("%q of %s: %v", e.What, before.State(), errors.Join(found...))
	}
	switch before.State() {
	case StateDenied, StateRejected, StateDone, StateConflict, StateFailed, StateUnknown:
		t.Fatalf("%q happened to an operation that is %s for good", e.What, before.State())
	}
	if o.State() == StateRunning && before.State() != StateApproved && o.Decision != Allowed {
		t.Fatalf("an operation that was %s runs", before.State())
	}
}

func TestOperationsKeepToTheTable(t *testing.T) {
	of, _ := occurrences()
	rapid.Check(t, func(t *rapid.T) {
		o := rapid.SampledFrom(proposed()).Draw(t, "operation")
		for range rapid.IntRange(1, 12).Draw(t, "length") {
			if row := rapid.SampledFrom(operationTable).Draw(t, "row"); rapid.Bool().Draw(t, "right") {
				step(t, &o, rightEvent(t, row.what, row.carries, row.may))
			} else {
				step(t, &o, anyEvent(t, of))
			}
		}
	})
}

// TestEveryTransitionOfAnOperationHappens walks from the new operations to every state there is, by every row from every state of it.
func TestEveryTransitionOfAnOperationHappens(t *testing.T) {
	type walked struct {
		row  int
		from State
	}
	happened := map[walked]bool{}
	seen := map[string]bool{}
	todo := proposed()
	for len(todo) > 0 {
		o := todo[0]
		todo = todo[1:]
		for i, row := range operationTable {
			next := o
			if found, _ := o.transition(&Event{What: row.what}); found != &operationTable[i] {
				continue
			}
			e := Event{What: row.what}
			for _, c := range row.carries {
				switch c {
				case "At":
					e.At = time.Unix(1, 0)
				case "By":
					e.By = alice
				case "Reason":
					e.Reason = "why"
				case "Grant":
					e.Grant = 1
				case "Result":
					e.Result = &Result{}
				}
			}
			if err := next.Apply(e); err != nil {
				t.Fatal(err)
			}
			happened[walked{i, o.State()}] = true
			if key := string(next.State()) + string(next.Decision) + string(next.Kind) + string(next.Verdict); !seen[key] {
				seen[key] = true
				todo = append(todo, next)
			}
		}
	}
	for i, row := range operationTable {
		for _, from := range row.from {
			if !happened[walked{i, from}] {
				t.Errorf("%q never happens to an operation that is %s", row.what, from)
			}
		}
	}
}

// world is a session that a test lets things happen to.
type world struct {
	*rapid.T
	s Session
}

// apply lets an event happen to the session, and holds what it did against the table.
func (w *world) apply(e Event) {
	before := w.s.Clone()
	var row *sessionTransition
	row, _ = before.transition(&e)
	err := w.s.Apply(e)
	switch {
	case err != nil && !errors.Is(err, ErrTransition):
		w.Fatalf("%+v: %v", e, err)
	case err != nil:
		if !reflect.DeepEqual(before, w.s.Clone()) {
			w.Fatalf("%v, and still %+v became %+v", err, before, w.s)
		}
		return
	case row == nil || !slices.Contains(row.to, w.s.Status):
		w.Fatalf("%q made %s of %s", e.What, w.s.Status, before.Status)
	case before.Status != statusNew && before.Status.Final() && !w.s.Status.Final():
		w.Fatalf("a session that was %s is %s", before.Status, w.s.Status)
	}
	onlyChanged(w.T, before, w.s.Clone(), row.sets)
}

// release is what follows a decision.
func (w *world) release() {
	if w.s.Status == StatusHeld && !w.s.Waits() {
		w.apply(Event{What: Release})
	}
}

func TestSessionsKeepToTheTable(t *testing.T) {
	ofOperations, ofSessions := occurrences()
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t, Session{ID: "12345678", Identity: "claude", Key: "SHA256:claude", ScriptSHA256: SHA256Hex(nil), Plan: rapid.Bool().Draw(t, "plan"), Interactive: rapid.Bool().Draw(t, "interactive")}}
		w.apply(Event{What: Begin, At: someTime.Draw(t, "begin")})
		t.Repeat(map[string]func(*rapid.T){
			"right event": func(t *rapid.T) {
				row := rapid.SampledFrom(sessionTable).Draw(t, "row")
				w.apply(rightEvent(t, row.what, row.carries, row.may))
			},
			"any event": func(t *rapid.T) { w.apply(anyEvent(t, ofSessions)) },
			"new operation": func(t *rapid.T) {
				before := w.s.Clone()
				row := rapid.SampledFrom(operationTable).Draw(t, "row")
				o, err := w.s.Add(rapid.SampledFrom(proposed()).Draw(t, "operation"), rightEvent(t, row.what, row.carries, row.may))
				switch {
				case err != nil:
					if !reflect.DeepEqual(before, w.s.Clone()) {
						t.Fatalf("%v, and still an operation was added", err)
					}
				case before.Status != StatusRunning && before.Status != StatusHeld:
					t.Fatalf("a session that is %s took in an operation", before.Status)
				case o.N != len(w.s.Operations) || o != w.s.Operation(o.N):
					t.Fatalf("the new operation has the number %d", o.N)
				}
			},
			"undo": func(t *rapid.T) {
				at := someTime.Draw(t, "at")
				o := proposed()[3]
				o.Kind = RollbackKind
				_, err := w.s.Add(o, Event{What: Ask}, Event{What: Approve, At: at, By: alice}, Event{What: Start, At: at})
				if (err == nil) != (w.s.Status.Final() && w.s.Status != StatusRolledBack && w.s.Status != StatusPlanned) {
					t.Fatalf("%s: %v", w.s.Status, err)
				}
			},
			"operation's event": func(t *rapid.T) {
				if w.s.Status.Final() || len(w.s.Operations) == 0 { // what ran may still end
					return
				}
				step(t, w.s.Operation(rapid.IntRange(1, len(w.s.Operations)).Draw(t, "n")), anyEvent(t, ofOperations))
				w.release()
			},
			"": func(t *rapid.T) {
				if found := w.s.Sound(); len(found) > 0 {
					t.Fatal(errors.Join(found...))
				}
			},
		})
	})
}

func TestEventsSayWhatIsRecordedAndNoMore(t *testing.T) {
	o := proposed()[1]
	for _, e := range []Event{
		{What: Ask, At: time.Unix(1, 0)}, {What: Ask, Reason: "why"}, {What: Ask, By: alice}, {What: Ask, By: Identity{Name: "alice"}},
		{What: Ask, Grant: 1}, {What: Ask, Result: &Result{}}, {What: Grant, At: time.Unix(1, 0), Grant: 1},
		{What: Grant, At: time.Unix(1, 0), Grant: 1, By: Identity{Name: "alice"}}, {What: Grant, By: alice, Grant: 1}, {What: Grant, At: time.Unix(1, 0), By: alice},
	} {
		if err := o.Apply(e); !errors.Is(err, ErrTransition) {
			t.Errorf("%+v: %v", e, err)
		}
	}
	if err := o.Apply(Event{What: Grant, At: time.Unix(1, 0), By: alice, Grant: 7}); err != nil || o.Reason != "by grant 7" || o.ByKey != alice.Fingerprint {
		t.Errorf("%+v, %v", o, err)
	}
}
