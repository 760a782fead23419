//go:build linux && (amd64 || arm64)

package native

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

func TestWhatAKilledGatewayUnpackedIsTakenAway(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"unpacking-1", "unpacking-2"} {
		if err := os.MkdirAll(filepath.Join(dir, name, "python"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // so that it ends before the library is compiled
	if _, err := install(ctx, dir); err == nil {
		t.Error("installed after the end of its context")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != ".lock" {
			t.Errorf("%s is left", e.Name())
		}
	}
}

// A module of the library costs no question but where a script's own would be: all of them come from one file.
func TestTheLibraryIsImportedFromOneFile(t *testing.T) {
	const script = `
import sys
asked = []
sys.addaudithook(lambda event, args: event in ("open", "os.listdir", "os.scandir") and asked.append(str(args[0])))
import json, subprocess, email.message, sqlite3, xml.dom.minidom, asyncio, concurrent.futures
try: import msvcrt_of_no_library
except ImportError: pass
print(*sorted({a for a in asked if a.startswith(sys.prefix)}))`
	job, stdout, stderr := jobFor(t, script)
	job.Args = []string{"-c", script}
	if result := runJob(t, job); result.ExitCode != 0 {
		t.Fatalf("%+v: %s", result, stderr)
	}
	// The one file is open already: Python imports something itself for -c. A name that is nowhere is looked for there too.
	want := Prefix + "/lib/python3.14/lib-dynload\n"
	if got := stdout.String(); got != want {
		t.Errorf("asked for %q, want %q", got, want)
	}
}

// Every function of the library says that it is from where the view has the library, and nothing of the gateway's directory.
func TestLibraryNamesItsOwnPlace(t *testing.T) {
	got := runScript(t, `
import importlib.util, os, sys, types
root = os.path.dirname(os.__file__)
def names(code): return {code.co_filename}.union(*(names(c) for c in code.co_consts if isinstance(c, types.CodeType)))
found = set()
for dir, _, files in os.walk(root):
    for file in files:
        if file.endswith(".py"):
            path = os.path.join(dir, file)
            if names(importlib.util.spec_from_file_location("module", path).loader.get_code("module")) != {path}: print(path)
            found.add(path)
print(len(found) > 400, {f.__code__.co_filename for m in list(sys.modules.values()) for f in vars(m).values() if isinstance(f, types.FunctionType)} <= found | {f"<frozen {m}>" for m in sys.modules} | {"<stdin>"})`)
	if got.stdout != "True True\n" {
		t.Errorf("%+v %s %s", got.result, got.stdout, got.stderr)
	}
}
