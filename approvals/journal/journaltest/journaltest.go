// Package journaltest makes operations for tests: one of every kind with every field set, and what they become when one
// field after the other is changed. It is for tests alone.
package journaltest

import (
	"fmt"
	"reflect"
	"strings"
	"syscall"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
)

// Time is when the operations were made.
var Time = time.Date(2031, 3, 4, 3, 0, 0, 123456789, time.UTC)

// Named is an operation with a name for a test's output.
type Named struct {
	Name string
	Op   journal.Operation
}

// Operations are one of every kind, all of them waiting.
func Operations() []Named {
	all := []Named{{"command", command(true)}, {"command without files", command(false)}}
	for _, op := range []journal.Kind{
		journal.Write, journal.Delete, journal.Rename, journal.Mkdir, journal.Rmdir, journal.Symlink, journal.Chmod, journal.Chown, journal.Touch,
	} {
		all = append(all, Named{string(op), change(op)})
	}
	return all
}

// Session is one in which the operation waits.
func Session(op journal.Operation) journal.Session {
	return journal.Session{
		ID: "abcd2345", Identity: "claude", Key: "SHA256:key", Target: "prod", Engine: "native", Name: "nightly check", Analysis: "frees space",
		Args: []string{"-"}, Script: "import subprocess\nsubprocess.run(ARGV)\n", ScriptSHA256: hash('f'), Env: []string{"LANG=C.UTF-8"},
		Status: journal.StatusHeld, Created: Time, Deadline: Time.Add(time.Hour), Operations: []journal.Operation{op},
	}
}

func hash(digit byte) string { return strings.Repeat(string(digit), 64) }

func operation(kind journal.Kind) journal.Operation {
	return journal.Operation{
		N: 1, Kind: kind, Summary: "summary", Verdict: policy.Ask, Risk: policy.Caution, Why: "it changes the system",
		Decision: journal.Waiting, Created: Time,
	}
}

func command(files bool) journal.Operation {
	op := operation(journal.CommandKind)
	op.Effect, op.Undo = "does it to /srv", "partly: do it again"
	op.Command = &journal.Command{
		Target: "prod", RunAs: "ops", Path: "/usr/bin/tool", Argv: []string{"tool", "--do", "it"}, Dir: "/srv",
		Env: []string{"LANG=C.UTF-8", "PATH=/usr/bin"}, EnvChanges: []string{"PATH=/usr/bin"},
		Input: journal.InputData, InputData: []byte("one\ntwo\n"), InputSHA256: journal.SHA256Hex([]byte("one\ntwo\n")), Line: 2,
	}
	if files {
		op.Command.Before, op.Command.Needs = []string{hash('a')}, []int{1}
		op.Command.Scratch = []journal.File{*file(journal.Write)}
	}
	op.Digest = op.Command.Digest()
	return op
}

func change(op journal.Kind) journal.Operation {
	o := operation(op)
	o.File = file(op)
	o.Summary, o.Digest = o.File.Summary().String(), o.File.Digest()
	return o
}

func file(op journal.Kind) *journal.File {
	f := &journal.File{
		Op: op, Target: "prod", RunAs: "ops", Path: "/srv/file", Kept: true,
		Was: &journal.FileState{Mode: syscall.S_IFREG | 0o600, UID: 11, GID: 12, Size: 100, Mtime: Time, SHA256: hash('b')},
	}
	switch op {
	case journal.Write:
		f.Perms, f.Mode, f.UID, f.GID, f.Size, f.SHA256, f.Mtime = true, 0o644, 21, 22, 120, hash('c'), Time
	case journal.Rename:
		f.To = "/srv/other"
		f.WasTo = &journal.FileState{Mode: syscall.S_IFREG | 0o640, UID: 31, GID: 32, Size: 130, Mtime: Time} // not read
	case journal.Mkdir:
		f.Perms, f.Mode, f.UID, f.GID, f.Was = true, 0o755, 21, 22, nil
	case journal.Rmdir:
		f.Was = &journal.FileState{Mode: syscall.S_IFDIR | 0o755, UID: 11, GID: 12, Size: 4096, Mtime: Time}
	case journal.Symlink:
		f.To, f.Perms, f.Mode, f.UID, f.GID = "/srv/elsewhere", true, 0o777, 21, 22
		f.Was = &journal.FileState{Mode: syscall.S_IFLNK | 0o777, UID: 11, GID: 12, Size: 4, Mtime: Time, Link: "here"}
	case journal.Chmod:
		f.Perms, f.Mode, f.UID, f.GID = true, 0o640, 11, 12
	case journal.Chown:
		f.Perms, f.Mode, f.UID, f.GID = true, 0o600, 41, 42
	case journal.Touch:
		f.Mtime = Time.Add(time.Second)
	case journal.Delete:
	default: // nothing of the kind for the others
	}
	return f
}

// Changed are the operation with one field of its record changed, for every field by which its digest becomes another.
func Changed(op journal.Operation) []Named {
	var all []Named
	for n := 0; ; n++ {
		c := clone(op)
		record := reflect.ValueOf(c.Command)
		if c.File != nil {
			record = reflect.ValueOf(c.File)
		}
		at := n
		name, ok := alter(record.Elem(), "", &at)
		if !ok {
			return all
		}
		if c.File != nil {
			c.Digest = c.File.Digest()
		} else {
			c.Digest = c.Command.Digest()
		}
		if c.Digest != op.Digest {
			all = append(all, Named{strings.TrimPrefix(name, "."), c})
		}
	}
}

func clone(op journal.Operation) journal.Operation {
	if op.File != nil {
		op.File = op.File.Clone()
		return op
	}
	c := *op.Command
	c.Argv, c.Env, c.EnvChanges = append(journal.Strings{}, c.Argv...), append(journal.Strings{}, c.Env...), append(journal.Strings{}, c.EnvChanges...)
	c.InputData, c.Before, c.Needs = append([]byte{}, c.InputData...), append([]string{}, c.Before...), append([]int{}, c.Needs...)
	scratch := make([]journal.File, len(c.Scratch))
	for i := range c.Scratch {
		scratch[i] = *c.Scratch[i].Clone()
	}
	c.Scratch = scratch
	op.Command = &c
	return op
}

// alter changes the field that is *at fields behind the first one of v. It returns its name; ok is false behind the last.
func alter(v reflect.Value, name string, at *int) (changed string, ok bool) {
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
		return once(at, name, func() { v.Set(reflect.ValueOf(v.Interface().(time.Time).Add(time.Hour))) })
	case v.Kind() == reflect.Pointer:
		if v.IsNil() {
			return once(at, name, func() { v.Set(reflect.New(v.Type().Elem())) })
		}
		if changed, ok := alter(v.Elem(), name, at); ok {
			return changed, true
		}
		return once(at, name+" (gone)", func() { v.SetZero() })
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if changed, ok := alter(v.Field(i), name+"."+v.Type().Field(i).Name, at); ok {
				return changed, true
			}
		}
		return "", false
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			if changed, ok := alter(v.Index(i), fmt.Sprintf("%s[%d]", name, i), at); ok {
				return changed, true
			}
		}
		return once(at, name+" (one more)", func() { v.Set(reflect.Append(v, reflect.New(v.Type().Elem()).Elem())) })
	}
	return once(at, name, func() { scalar(v) })
}

// once does what is asked for where *at is 0, else it counts down.
func once(at *int, name string, do func()) (string, bool) {
	if *at > 0 {
		*at--
		return "", false
	}
	do()
	return name, true
}

func scalar(v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(v.String() + "Q")
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint32:
		v.SetUint(v.Uint() ^ 1)
	default:
		panic("journaltest cannot change a " + v.Type().String())
	}
}

// WithoutDigests is what a front end printed of the operation, with its own digest and those of its scratch left out: what
// is left must show by itself every field that they cover.
func WithoutDigests(printed string, op *journal.Operation) string {
	digests := []string{op.Digest}
	if c := op.Command; c != nil {
		for i := range c.Scratch {
			digests = append(digests, c.Scratch[i].Digest())
		}
	}
	for _, d := range digests {
		printed = strings.ReplaceAll(printed, d, "DIGEST")
	}
	return printed
}
