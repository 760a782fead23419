//go:build linux

package vfs_test

import (
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"shannot-gateway/vfs"
)

// TestTreesOfAnySessionAreToldAsEachDirectoryByItself changes a session at random, below a policy at random, and compares all that is
// told ahead with what is said of each name by itself.
func TestTreesOfAnySessionAreToldAsEachDirectoryByItself(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	parts := []string{"a", "b", "c", "d"}
	random := func(depth int) string {
		var names []string
		for range 1 + r.IntN(depth) {
			names = append(names, parts[r.IntN(len(parts))])
		}
		return strings.Join(names, "/")
	}
	asked, told := 0, 0
	for round := range 150 {
		var files []string
		taken := map[string]bool{}
		for range 25 {
			name := random(3)
			if strings.Count(name, "/") == 0 {
				name += "/" + parts[r.IntN(4)]
			}
			switch r.IntN(3) {
			case 0:
				name += "/l->" + []string{"f", "../" + random(2), random(1), "l", "/" + random(2)}[r.IntN(5)]
			default:
				name += "/f=" + fmt.Sprint(round)
			}
			if key, _, _ := strings.Cut(strings.ReplaceAll(name, "->", "="), "="); !taken[key] {
				taken[key] = true
				files = append(files, name)
			}
		}
		root := tree(t, files...)
		var read, hide []string
		for range r.IntN(3) {
			read = append(read, root+"/"+[]string{random(3), "*/" + random(2), "**/" + random(1), random(2) + "/*"}[r.IntN(4)])
		}
		for range r.IntN(4) {
			hide = append(hide, []string{root + "/" + random(3), "**/" + random(2), root + "/*/" + random(2), "**/f", root + "/" + random(2) + "/*"}[r.IntN(5)])
		}
		if len(read) == 0 {
			read = []string{root}
		}
		s := session(t, vfs.Config{Base: vfs.NewHost(), Policy: policy(t, read, hide)})
		for range r.IntN(8) {
			one, two := root+"/"+random(3), root+"/"+random(3)
			switch r.IntN(7) {
			case 0, 1:
				_ = s.Rename(one, two, 0)
			case 2:
				_ = s.Unlink(one + "/f")
			case 3:
				_ = s.Symlink(random(2), one+"/new")
			case 4:
				_ = s.Chmod(one, 0o700, true)
			case 5:
				_ = s.Mkdir(one+"/m", 0o700)
			case 6:
				_ = s.Rmdir(one)
			}
		}
		dirs := []string{root}
		_ = filepath.WalkDir(root, func(at string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				dirs = append(dirs, at)
			}
			return nil
		})
		for range 20 {
			dirs = append(dirs, root+"/"+random(4))
		}
		slices.Sort(dirs)
		for _, dir := range slices.Compact(dirs) {
			for _, wish := range []vfs.TreeWish{{Files: true, Links: true}, {}} {
				bound := plenty
				if _, err := vfs.AheadOf(s).ListTree(dir, parts, wish, &bound); err != nil {
					continue
				}
				asked++
				told += len(listed(t, s, dir, wish, plenty, parts...))
			}
		}
		if t.Failed() {
			t.Fatalf("round %d: read %q, hide %q", round, read, hide)
		}
	}
	if asked < 100 || told < 100 {
		t.Errorf("%d questions told of %d directories", asked, told)
	}
}
