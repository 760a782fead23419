package pypy

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Archive is one file of a release.
type Archive struct {
	Name   string // what it holds, for messages
	URL    string
	SHA256 string // hexadecimal
}

// Release is a pypy-sandbox executable for one architecture, and the standard library that goes with it.
type Release struct{ Executable, Library Archive }

// releaseTag names the release of the executables.
const releaseTag = "pypy3-sandbox-7.3.6"

// Releases are what Install installs, by architecture as Go names it.
func Releases() map[string]Release {
	library := Archive{
		Name: "standard library", URL: "https://downloads.python.org/pypy/pypy3.6-v7.3.3-src.tar.bz2",
		SHA256: "a23d21ca0de0f613732af4b4abb0b0db1cc56134b5bf0e33614eca87ab8805af",
	}
	out := map[string]Release{}
	for arch, sum := range map[string]string{
		"amd64": "b5498d3ea1bd3d4d9de337e57e0784ed6bcb5ff669f160f9bc3e789d64aa812a",
		"arm64": "ee4423ae2fc40ed65bf563568d1c05edfbe4e33e43c958c40f876583005688a6",
	} {
		out[arch] = Release{Library: library, Executable: Archive{
			Name: "executable", SHA256: sum,
			URL: fmt.Sprintf("https://github.com/corv89/pypy/releases/download/%s/pypy3-sandbox-linux-%s.tar.gz", releaseTag, arch),
		}}
	}
	return out
}

// An installation is a directory pypy-KEY of the runtime directory: bin with the executable and its shared libraries,
// lib-python/3 and lib_pypy. It is whole, or not there.
const (
	installedPrefix = "pypy-"
	unpackingPrefix = ".pypy-unpacking-"
	downloadsFolder = ".pypy-downloads"
	executableFile  = "bin/pypy3-c"
)

// key names the installation of a release.
func (r Release) key() string { return r.Executable.SHA256[:12] + "-" + r.Library.SHA256[:12] }

// Installed is the directory of the newest installation below a runtime directory. fs.ErrNotExist where there is none.
func Installed(runtime string) (string, error) {
	none := fmt.Errorf("no pypy-sandbox in %s: %w", runtime, fs.ErrNotExist)
	if runtime == "" {
		return "", none
	}
	entries, err := os.ReadDir(runtime)
	if err != nil {
		return "", none
	}
	var newest fs.FileInfo
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() || !strings.HasPrefix(e.Name(), installedPrefix) {
			continue
		}
		if _, err := os.Stat(filepath.Join(runtime, e.Name(), executableFile)); err != nil {
			continue
		}
		if newest == nil || info.ModTime().After(newest.ModTime()) {
			newest = info
		}
	}
	if newest == nil {
		return "", none
	}
	return filepath.Join(runtime, newest.Name()), nil
}

// Remove takes every installation, and what is left of downloads, out of a runtime directory. It returns what it removed.
func Remove(runtime string) (removed []string, err error) {
	entries, err := os.ReadDir(runtime)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), installedPrefix) && !strings.HasPrefix(e.Name(), unpackingPrefix) && e.Name() != downloadsFolder {
			continue
		}
		name := filepath.Join(runtime, e.Name())
		if err := os.RemoveAll(name); err != nil {
			return removed, err
		}
		removed = append(removed, name)
	}
	return removed, nil
}
