package config_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shannot-gateway/gateway/config"
)

// tree makes a directory a/b with a file f in it, and links to both.
func tree(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, err := range []error{
		os.Chmod(dir, 0o755), // #nosec G302 -- as the test wants it
		os.MkdirAll(filepath.Join(dir, "a/b"), 0o755), os.WriteFile(filepath.Join(dir, "a/b/f"), nil, 0o644),
		os.Mkdir(filepath.Join(dir, "links"), 0o755), os.Symlink("../a/b/f", filepath.Join(dir, "links/f")),
		os.Symlink(filepath.Join(dir, "links/f"), filepath.Join(dir, "far")), os.Symlink("loop", filepath.Join(dir, "loop")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFilesThatSomebodyElseCanChangeAreRefused(t *testing.T) {
	for what, c := range map[string]struct {
		chmod string
		mode  fs.FileMode
		ask   string
		want  string // in the error, "" for none; % is the directory
	}{
		"as they should be":               {"a", 0o755, "a/b/f", ""},
		"a group that reads":              {"a/b/f", 0o640, "a/b/f", ""},
		"a file that all can write":       {"a/b/f", 0o666, "a/b/f", "%/a/b/f has mode 0666, somebody else can change it: run chmod go-w %/a/b/f"},
		"a file that its group can write": {"a/b/f", 0o664, "a/b/f", "chmod go-w %/a/b/f"},
		"its directory":                   {"a/b", 0o777, "a/b/f", "chmod go-w %/a/b,"},
		"a directory above":               {"a", 0o775, "a/b/f", "chmod go-w %/a,"},
		"a directory asked about":         {"a/b", 0o777, "a/b", "%/a/b has mode 0777"},
		"a sticky one asked about":        {"a/b", 0o777 | fs.ModeSticky, "a/b", "%/a/b has mode 1777"},
		"the directory of a link":         {"links", 0o777, "links/f", "chmod go-w %/links,"},
		"where a link leads":              {"a/b", 0o777, "links/f", "chmod go-w %/a/b,"},
		"a link on the way of a link":     {"links", 0o777, "far", "chmod go-w %/links,"},
		"links that are fine":             {"a", 0o755, "far", ""},
		"links in a circle":               {"a", 0o755, "loop", "too many levels"},
		"by way of ..":                    {"links", 0o777, "links/../a/b/f", "chmod go-w %/links,"},
	} {
		dir := tree(t)
		if err := os.Chmod(filepath.Join(dir, c.chmod), c.mode); err != nil {
			t.Fatal(err)
		}
		ask := dir + "/" + c.ask
		err := config.CheckModes(ask)
		if what == "by way of .." { // Abs takes it away: the directory is not on the way
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", what, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), strings.ReplaceAll(c.want, "%", dir)) {
			t.Errorf("%s: %v, want %s", what, err, c.want)
		}
		if !strings.Contains(c.want, "levels") && !errors.Is(err, config.ErrLoose) {
			t.Errorf("%s: %v is not ErrLoose", what, err)
		}
	}
	if err := config.CheckModes(filepath.Join(tree(t), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// A directory as /tmp is, root's and sticky, may be on the way; one that somebody else has, and their files in it, may not.
func TestStickyDirectoriesAndOwners(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to give files away")
	}
	dir := tree(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	step := func(what string, do error, ask string, loose bool) {
		t.Helper()
		if do != nil {
			t.Fatal(do)
		}
		if err := config.CheckModes(at(ask)); errors.Is(err, config.ErrLoose) != loose {
			t.Errorf("%s: %v", what, err)
		}
	}
	step("a sticky directory of root's", os.Chmod(at("a"), 0o777|fs.ModeSticky), "a/b/f", false)
	step("another's directory in it", os.Chown(at("a/b"), 1234, 1234), "a/b/f", true)
	step("ours again", os.Chown(at("a/b"), 0, 0), "a/b/f", false)
	step("another's file", os.Chown(at("a/b/f"), 1234, 1234), "a/b/f", true)
	step("ours again", os.Chown(at("a/b/f"), 0, 0), "a/b/f", false)
	step("another's sticky directory", os.Chown(at("a"), 1234, 1234), "a/b/f", true)
	step("root's again", errors.Join(os.Chown(at("a"), 0, 0), os.Chmod(at("a"), 0o755)), "links/f", false)
	step("another's link", os.Lchown(at("links/f"), 1234, 1234), "links/f", true)
}

func TestConfigurationThatOthersCanWriteIsNotRead(t *testing.T) {
	dir := tree(t)
	file := filepath.Join(dir, "a/config.toml")
	write := func(text string, mode fs.FileMode) {
		t.Helper()
		if err := errors.Join(os.WriteFile(file, []byte(text), 0o600), os.Chmod(file, mode)); err != nil {
			t.Fatal(err)
		}
	}
	write("", 0o666)
	if _, err := config.Load(file); !errors.Is(err, config.ErrLoose) {
		t.Errorf("%v", err)
	}
	write("strict_modes = false\n", 0o666)
	if c, err := config.Load(file); err != nil || c.StrictModes {
		t.Errorf("%+v, %v", c, err)
	}
	write("", 0o600)
	if c, err := config.Load(file); err != nil || !c.StrictModes {
		t.Errorf("%v", err)
	}
	write("strict_modes = 1\n", 0o600)
	if _, err := config.Load(file); err == nil {
		t.Error("a number is taken")
	}
}

func TestStateThatOthersCanWriteIsRefused(t *testing.T) {
	for what, c := range map[string]struct {
		do   func(dir string) error
		want string
	}{
		"not there":                 {func(string) error { return nil }, ""},
		"not there, below others'":  {func(dir string) error { return os.Chmod(filepath.Dir(dir), 0o777) }, "chmod go-w"},
		"our own":                   {func(dir string) error { return os.Mkdir(dir, 0o700) }, ""},
		"of mode 0777":              {func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, 0o777)) }, "state has mode 0777"},
		"with a database for all":   {func(dir string) error { return errors.Join(os.Mkdir(dir, 0o700), loose(dir, "gateway.db")) }, "gateway.db has mode 0666"},
		"with an audit log for all": {func(dir string) error { return errors.Join(os.MkdirAll(dir+"/audit", 0o700), loose(dir, "audit/head")) }, "head has mode 0666"},
		"with a folder of host keys…": {func(dir string) error {
			return errors.Join(os.MkdirAll(dir+"/hostkeys", 0o700), os.Chmod(dir+"/hostkeys", 0o770))
		}, "hostkeys has mode 0770"},
	} {
		dir := filepath.Join(tree(t), "a/state")
		if err := c.do(dir); err != nil {
			t.Fatal(err)
		}
		conf, err := config.Parse(nil, "")
		if err == nil {
			err = conf.SetState(dir)
		}
		if err != nil {
			t.Fatal(err)
		}
		err = conf.CheckState()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}

func loose(dir, name string) error {
	file := filepath.Join(dir, name)
	return errors.Join(os.WriteFile(file, nil, 0o600), os.Chmod(file, 0o666))
}
