//go:build linux

package mounts

import (
	"slices"
	"testing"
)

func TestMountsAreReadFromTheKernelsLines(t *testing.T) {
	got := parse(`26 1 254:0 / / rw,relatime - ext4 /dev/vda rw
22 26 0:21 / /sys rw shared:7 master:1 - sysfs sysfs rw
30 26 0:27 / /srv/a\040b\134c rw - tmpfs none rw
not a line
1 2 3 / relative rw - ext4 x rw
`)
	want := []Point{{"/", "ext4"}, {"/sys", "sysfs"}, {`/srv/a b\c`, "tmpfs"}}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	here, err := Points()
	if err != nil || !slices.ContainsFunc(here, func(p Point) bool { return p.Path == "/" }) {
		t.Errorf("this process has no root: %v, %v", here, err)
	}
}

func FuzzPoints(f *testing.F) {
	f.Add("26 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n")
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range parse(text) {
			if p.Path == "" || p.Path[0] != '/' || p.Kind == "" {
				t.Errorf("%q gives %v", text, p)
			}
		}
	})
}
