package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"time"

	"shannot-gateway/gateway/config"
	"shannot-gateway/sandbox/native"
	"shannot-gateway/sandbox/pypy"
)

// names collects the values of a flag that may be given several times.
type names []string

// String implements flag.Value.
func (n *names) String() string { return strings.Join(*n, ", ") }

// Set implements flag.Value.
func (n *names) Set(s string) error {
	*n = append(*n, s)
	return nil
}

const runtimeUsage = "usage: shannot-gateway runtime install|status|remove [native|pypy] [--config FILE] [--state DIR] [--from ARCHIVE ...]"

// runtime is `runtime install|status|remove [native|pypy]`.
func (p *program) runtime(ctx context.Context, args []string) int {
	what, engine := "", config.NativeEngine
	if len(args) > 0 {
		what, args = args[0], args[1:]
	}
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		engine, args = args[0], args[1:]
	}
	f := p.flags("runtime " + what)
	file, state := f.String("config", "", "configuration `file`"), f.String("state", "", "state `directory`")
	var from names
	if what == "install" && engine == config.PyPyEngine {
		f.Var(&from, "from", "an `archive` that was brought here; say it for both, and nothing is downloaded")
	}
	verbs := map[string]map[string]func(context.Context, *config.Config, string, []string) int{
		config.NativeEngine: {"install": p.installNative, "status": p.nativeStatus, "remove": p.removeNative},
		config.PyPyEngine:   {"install": p.installPyPy, "status": p.pypyStatus, "remove": p.removePyPy},
	}
	verb := verbs[engine][what]
	if verb == nil {
		_, _ = fmt.Fprintln(p.stderr, runtimeUsage)
		return exitUsage
	}
	if status, ok := p.parse(f, args); !ok {
		return status
	}
	c, err := loadConfig(*file, "", *state)
	if err != nil {
		return p.fail(err)
	}
	return verb(ctx, c, filepath.Join(c.State, runtimeFolder), from)
}

func (p *program) installNative(ctx context.Context, _ *config.Config, dir string, _ []string) int {
	engine := native.New(native.Options{Runtime: dir})
	defer func() { _ = engine.Close() }()
	if err := engine.Check(ctx); err != nil {
		return p.fail(err)
	}
	_, _ = fmt.Fprintf(p.stdout, "the interpreter is in %s and runs in the sandbox\n", dir)
	return exitOK
}

func (p *program) nativeStatus(_ context.Context, _ *config.Config, dir string, _ []string) int {
	found, err := filepath.Glob(filepath.Join(dir, "python-*"))
	if err != nil || len(found) == 0 {
		_, _ = fmt.Fprintf(p.stdout, "no interpreter in %s; shannot-gateway runtime install\n", dir)
		return exitFailure
	}
	for _, name := range found {
		_, _ = fmt.Fprintln(p.stdout, name)
	}
	return exitOK
}

func (p *program) removeNative(_ context.Context, _ *config.Config, dir string, _ []string) int {
	for _, pattern := range []string{"python-*", "unpacking-*", ".lock"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return p.fail(err)
		}
		for _, name := range found {
			if err := os.RemoveAll(name); err != nil {
				return p.fail(err)
			}
		}
	}
	_ = os.Remove(dir) // where nothing else is in it
	_, _ = fmt.Fprintf(p.stdout, "removed the interpreter in %s; serve installs it again\n", dir)
	return exitOK
}

// pypyEngine is the engine as the configuration has it.
func pypyEngine(c *config.Config, runtime string, log *slog.Logger) *pypy.Engine {
	return pypy.New(pypy.Options{Executable: c.PyPy.Executable, Library: c.PyPy.Library, Runtime: runtime, Log: log})
}

func (p *program) installPyPy(ctx context.Context, c *config.Config, dir string, from []string) int {
	release, ok := pypy.Releases()[goruntime.GOARCH]
	if !ok || goruntime.GOOS != "linux" {
		return p.fail(fmt.Errorf("there is no pypy-sandbox for %s on %s", goruntime.GOOS, goruntime.GOARCH))
	}
	bar := &progressBar{to: p.stderr, animated: isTerminal(p.stderr), now: time.Now}
	installed, err := pypy.Install(ctx, pypy.InstallOptions{Runtime: dir, Release: release, From: from, Progress: bar.show})
	bar.end()
	if err != nil {
		return p.fail(err)
	}
	_, _ = fmt.Fprintf(p.stdout, "the pypy-sandbox is in %s\n", installed)
	return p.pypyStatus(ctx, c, dir, nil)
}

func (p *program) pypyStatus(ctx context.Context, c *config.Config, dir string, _ []string) int {
	engine := pypyEngine(c, dir, nil)
	defer func() { _ = engine.Close() }()
	if err := engine.Check(ctx); err != nil {
		return p.fail(err)
	}
	for _, f := range engine.Probe(ctx) {
		_, _ = fmt.Fprintf(p.stdout, "%s: %s\n", f.Name, f.Detail)
	}
	return exitOK
}

func (p *program) removePyPy(_ context.Context, _ *config.Config, dir string, _ []string) int {
	removed, err := pypy.Remove(dir)
	for _, name := range removed {
		_, _ = fmt.Fprintf(p.stdout, "removed %s\n", name)
	}
	if err != nil {
		return p.fail(err)
	}
	if len(removed) == 0 {
		_, _ = fmt.Fprintf(p.stdout, "no pypy-sandbox in %s\n", dir)
	}
	return exitOK
}

// isTerminal reports whether somebody looks at an output as it is written.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&fs.ModeCharDevice != 0
}

// progressBar shows how far a download is: one line that changes for who looks at it, else a line at each end.
type progressBar struct {
	to       io.Writer
	animated bool
	now      func() time.Time

	name        string
	done, total int64
	last        time.Time
	open        bool // the line is not ended
}

// barWidth is the length of the bar in characters, barPause how often it is drawn at most.
const (
	barWidth = 30
	barPause = 100 * time.Millisecond
)

// show implements pypy.Progress.
func (b *progressBar) show(name string, done, total int64) {
	if name != b.name {
		b.end()
	}
	b.name, b.done, b.total = name, done, total
	now := b.now()
	if !b.animated || b.open && now.Sub(b.last) < barPause && done != total {
		b.open = true
		return
	}
	b.last, b.open = now, true
	_, _ = fmt.Fprintf(b.to, "\r%s", b.line())
}

// line is the state in words, and as a bar where the end is known.
func (b *progressBar) line() string {
	const mebi = 1 << 20
	if b.total <= 0 {
		return fmt.Sprintf("%-17s %.1f MiB", b.name, float64(b.done)/mebi)
	}
	full := int(min(b.done, b.total) * barWidth / b.total)
	return fmt.Sprintf("%-17s [%s%s] %.1f/%.1f MiB", b.name, strings.Repeat("#", full), strings.Repeat(".", barWidth-full),
		float64(b.done)/mebi, float64(b.total)/mebi)
}

// end finishes the line.
func (b *progressBar) end() {
	if !b.open {
		return
	}
	b.open = false
	if b.animated {
		_, _ = fmt.Fprintf(b.to, "\r%s\n", b.line())
		return
	}
	_, _ = fmt.Fprintln(b.to, b.line())
}
