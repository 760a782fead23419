//go:build linux && (amd64 || arm64)

package native

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// bare is the same interpreter without a sandbox, with the same start-up options.
func bare(tb testing.TB, script string) string {
	tb.Helper()
	in, _, err := engine(tb).prepare(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.CommandContext(tb.Context(), filepath.Join(in.root, pythonBinary), "-s", "-")
	// The guest module starts nothing here, and would not find its device.
	cmd.Env = []string{"LANG=C.UTF-8", "PATH=/usr/bin:/bin", "HOME=/"}
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.Output()
	if err != nil {
		tb.Fatal(err)
	}
	return string(out)
}

func sandboxed(tb testing.TB, script string) string {
	tb.Helper()
	got := runScript(tb, script)
	if got.result.ExitCode != 0 {
		tb.Fatalf("%+v: %s", got.result, got.stderr)
	}
	return got.stdout
}

// BenchmarkStart measures one interpreter from start to end, in the sandbox and without, in turns.
func BenchmarkStart(b *testing.B) {
	const script = "print(1)"
	sandboxed(b, script)
	bare(b, script)
	var inside, outside time.Duration
	for b.Loop() {
		t := time.Now()
		sandboxed(b, script)
		inside += time.Since(t)
		t = time.Now()
		bare(b, script)
		outside += time.Since(t)
	}
	report(b, inside, outside)
}

// BenchmarkImports is BenchmarkStart with about thirty modules of the standard library.
func BenchmarkImports(b *testing.B) {
	const script = `import argparse, asyncio, base64, collections, configparser, csv, datetime, decimal, difflib, email.message, fnmatch, functools, glob, gzip, hashlib, html, http.client, inspect, itertools, json, logging, os, pathlib, platform, random, re, shutil, socket, sqlite3, statistics, string, subprocess, tempfile, textwrap, threading, urllib.request, uuid, zipfile`
	sandboxed(b, script)
	bare(b, script)
	var inside, outside time.Duration
	for b.Loop() {
		t := time.Now()
		sandboxed(b, script)
		inside += time.Since(t)
		t = time.Now()
		bare(b, script)
		outside += time.Since(t)
	}
	report(b, inside, outside)
}

func report(b *testing.B, inside, outside time.Duration) {
	b.ReportMetric(float64(inside.Milliseconds())/float64(b.N), "sandbox-ms/op")
	b.ReportMetric(float64(outside.Milliseconds())/float64(b.N), "bare-ms/op")
	b.ReportMetric(float64(inside)/float64(outside), "ratio")
	b.ReportMetric(0, "ns/op")
}

// inScript measures a statement inside the interpreter, with and without the sandbox.
func inScript(b *testing.B, setup, statement string) {
	b.Helper()
	const rounds = 20_000
	script := fmt.Sprintf("import os, time\n%s\nfor _ in range(100): %s\nt = time.perf_counter_ns()\nfor _ in range(%d): %s\nprint((time.perf_counter_ns() - t) / %d)",
		setup, statement, rounds, statement, rounds)
	parse := func(out string) float64 {
		v, err := strconv.ParseFloat(strings.TrimSpace(out), 64)
		if err != nil {
			b.Fatal(err)
		}
		return v
	}
	var inside, outside float64
	for b.Loop() {
		inside += parse(sandboxed(b, script))
		outside += parse(bare(b, script))
	}
	b.ReportMetric(inside/float64(b.N)/1000, "sandbox-µs/call")
	b.ReportMetric(outside/float64(b.N)/1000, "bare-µs/call")
	b.ReportMetric(0, "ns/op")
}

func BenchmarkStat(b *testing.B) { inScript(b, "stat = os.stat", "stat('/etc/hostname')") }

func BenchmarkOpenReadClose(b *testing.B) {
	if _, err := os.Stat("/etc/hostname"); err != nil {
		b.Skip(err)
	}
	inScript(b, "", "fd = os.open('/etc/hostname', 0); os.read(fd, 100); os.close(fd)")
}
