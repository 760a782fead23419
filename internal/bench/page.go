package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// command stands in the page above the result, in a block of its own.
const command = "    go run ./internal/bench\n\n"

var errNoResult = errors.New("it has no block with `go run ./internal/bench` and the result below")

// findResult is where the result stands in a page: the indented block after the command's.
func findResult(page []byte) (from, to int, err error) {
	_, after, found := bytes.Cut(page, []byte(command))
	if !found {
		return 0, 0, errNoResult
	}
	from = len(page) - len(after)
	to = from
	for line := range bytes.Lines(after) {
		if !bytes.HasPrefix(line, []byte("    ")) {
			break
		}
		to += len(line)
	}
	if to == from {
		return 0, 0, errNoResult
	}
	return from, to, nil
}

// replaceResult puts another result into a page.
func replaceResult(page, result []byte) ([]byte, error) {
	from, to, err := findResult(page)
	if err != nil {
		return nil, err
	}
	out := bytes.Clone(page[:from])
	for line := range bytes.Lines(result) {
		out = append(append(out, "    "...), bytes.TrimRight(line, " \n")...)
		out = append(out, '\n')
	}
	return append(out, page[to:]...), nil
}

// describeMachine says what the numbers were taken on, and how much else it had to do.
func describeMachine() (string, error) {
	cpu, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "", err
	}
	kernel, err := os.ReadFile("/proc/sys/kernel/osrelease")
	if err != nil {
		return "", err
	}
	load, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "", err
	}
	model := runtime.GOARCH
	for line := range strings.Lines(string(cpu)) {
		if key, value, _ := strings.Cut(line, ":"); strings.TrimSpace(key) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	busy, _, _ := strings.Cut(string(load), " ")
	return fmt.Sprintf("%d processors (%s), Linux %s, %s, load %s", runtime.NumCPU(), model, strings.TrimSpace(string(kernel)), runtime.Version(), busy), nil
}
