//go:build linux

package mounts

import (
	"os"
	"strings"
)

// Point is a mount that a process sees.
type Point struct{ Path, Kind string }

// Points are the mounts of this process, in the order in which they were made: a later one of a path hides an earlier one.
func Points() ([]Point, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	return parse(string(text)), nil
}

// parse reads proc_pid_mountinfo(5). What is no such line is left out.
func parse(text string) (points []Point) {
	for line := range strings.Lines(text) {
		before, after, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(kind) < 1 || !strings.HasPrefix(fields[4], "/") {
			continue
		}
		points = append(points, Point{unescape.Replace(fields[4]), kind[0]})
	}
	return points
}

// unescape undoes the octal escapes of mountinfo.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
