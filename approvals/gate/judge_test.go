package gate

import (
	"context"
	"maps"
	"slices"
	"syscall"
	"testing"
	"time"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// treeTarget is a target with a few directories.
type treeTarget struct {
	targets.Target
	tree map[string]vfs.Info
	has  map[string][]string // directory → names
	link map[string]string
}

// Jail says that there is a wall.
func (treeTarget) Jail() error { return nil }

func (treeTarget) Name() string        { return "tree" }
func (t treeTarget) Files() vfs.Source { return t }
func (t treeTarget) Lstat(name string) (vfs.Info, error) {
	if _, ok := t.link[name]; ok {
		return vfs.Info{Mode: syscall.S_IFLNK | 0o777}, nil
	}
	if i, ok := t.tree[name]; ok {
		return i, nil
	}
	return vfs.Info{}, syscall.ENOENT
}
func (t treeTarget) Readlink(name string) (string, error)   { return t.link[name], nil }
func (treeTarget) Open(name string, flags int) (int, error) { return -1, syscall.ENOSYS }
func (t treeTarget) ReadDir(name string) (out []vfs.Dirent, err error) {
	for _, n := range t.has[name] {
		out = append(out, vfs.Dirent{Name: n})
	}
	return out, nil
}

func TestProgramsOfDirectoriesThatOthersCanWriteAreForeign(t *testing.T) {
	dir := func(mode, uid uint32) vfs.Info { return vfs.Info{Mode: syscall.S_IFDIR | mode, UID: uid} }
	has := map[string][]string{"/usr/local/bin": {"ls", "mine"}, "/usr/bin": {"ls", "df"}, "/usr/local/sbin": {"ls"}}
	tests := []struct {
		name string
		t    treeTarget
		want []string
	}{
		{"root's own", treeTarget{tree: map[string]vfs.Info{"/usr/local/bin": dir(0o755, 0), "/usr/bin": dir(0o755, 0)}}, nil},
		{"a group's", treeTarget{tree: map[string]vfs.Info{"/usr/local/bin": dir(0o775, 0), "/usr/bin": dir(0o755, 0)}}, []string{"/usr/local/bin/ls", "/usr/local/bin/mine"}},
		{"everybody's", treeTarget{tree: map[string]vfs.Info{"/usr/local/bin": dir(0o1777, 0)}}, []string{"/usr/local/bin/ls", "/usr/local/bin/mine"}},
		{"a user's", treeTarget{tree: map[string]vfs.Info{"/usr/bin": dir(0o755, 1000)}}, []string{"/usr/bin/df", "/usr/bin/ls"}},
		{"two", treeTarget{tree: map[string]vfs.Info{"/usr/local/sbin": dir(0o777, 0), "/usr/bin": dir(0o777, 0)}}, []string{"/usr/bin/df", "/usr/local/sbin/ls"}},
		{"behind a link", treeTarget{link: map[string]string{"/bin": "usr/bin"}, tree: map[string]vfs.Info{"/usr/bin": dir(0o777, 0)}}, []string{"/usr/bin/df", "/usr/bin/ls"}},
		{"a link to itself", treeTarget{link: map[string]string{"/usr/bin": "/usr/bin"}}, []string{"/usr/bin/df", "/usr/bin/ls"}},
		{"nothing", treeTarget{}, nil},
	}
	for _, tt := range tests {
		var p programs
		tt.t.has = has
		got := slices.Sorted(maps.Values(p.foreign(tt.t, time.Unix(1, 0))))
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestForeignProgramsAreLookedForAgain(t *testing.T) {
	var p programs
	tree := treeTarget{has: map[string][]string{"/usr/bin": {"ls"}}, tree: map[string]vfs.Info{"/usr/bin": {Mode: syscall.S_IFDIR | 0o755}}}
	now := time.Unix(1000, 0)
	if got := p.foreign(tree, now); len(got) != 0 {
		t.Fatalf("got %v", got)
	}
	tree.tree["/usr/bin"] = vfs.Info{Mode: syscall.S_IFDIR | 0o777}
	if got := p.foreign(tree, now.Add(programsAge-1)); len(got) != 0 {
		t.Errorf("looked again after less than %v", programsAge)
	}
	for _, later := range []time.Time{now.Add(programsAge), now.Add(-time.Second)} {
		p.known["tree"] = &foreignPrograms{at: now, names: map[string]string{}}
		if got := p.foreign(tree, later); got["ls"] == "" {
			t.Errorf("did not look again at %v", later)
		}
	}
}

// TestProgramIsJudgedByWhereItIs: a name is the program of that name only in a directory that nobody else can write.
func TestProgramIsJudgedByWhereItIs(t *testing.T) {
	judge, err := policy.New(policy.DefaultProfile())
	if err != nil {
		t.Fatal(err)
	}
	g := New(Config{Now: func() time.Time { return time.Unix(1, 0) }})
	tree := treeTarget{
		has:  map[string][]string{"/usr/local/bin": {"df"}},
		tree: map[string]vfs.Info{"/usr/local/bin": {Mode: syscall.S_IFDIR | 0o777}},
	}
	l := &execution{of: g, rules: &Rules{Judge: judge}, target: tree, ctx: context.Background()}
	tests := []struct {
		path string
		c    Start
		want policy.Verdict
	}{
		{"/usr/bin/ls", Start{Argv: []string{"ls"}}, policy.Allow},
		{"/usr/local/sbin/ls", Start{Argv: []string{"ls"}}, policy.Allow}, // root's own
		{"/usr/local/sbin/ls", Start{Argv: []string{"/usr/local/sbin/ls"}}, policy.Ask},
		{"/usr/local/bin/df", Start{Argv: []string{"df"}}, policy.Ask},
		{"/srv/ls", Start{Argv: []string{"ls"}}, policy.Ask},
		{"/usr/bin/ls", Start{Argv: []string{"dir"}}, policy.Ask},
		{"/usr/bin/rm", Start{Argv: []string{"ls"}}, policy.Ask},
		{"/bin/sh", Start{Argv: []string{"sh", "-c", "ls"}, Shell: true}, policy.Allow},
		{"/bin/sh", Start{Argv: []string{"sh", "-c", "ls; df"}, Shell: true}, policy.Ask},
		{"/bin/sh", Start{Argv: []string{"sh", "-c", "timeout 5 df"}, Shell: true}, policy.Ask},
		{"/bin/sh", Start{Argv: []string{"sh", "-c", "/bin/df"}, Shell: true}, policy.Allow},
		{"/bin/sh", Start{Argv: []string{"sh", "-c", "df"}}, policy.Ask},
	}
	for _, tt := range tests {
		d, err := l.judge(t.Context(), &journal.Command{Path: tt.path, Argv: tt.c.Argv, Dir: "/"}, tt.c)
		if err != nil {
			t.Fatal(err)
		}
		if d.Verdict != tt.want {
			t.Errorf("%q at %s is %s (%s), want %s", tt.c.Argv, tt.path, d.Verdict, d.Reason, tt.want)
		}
	}
}
