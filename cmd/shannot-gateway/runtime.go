package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	goruntime "runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shannot-gateway/gateway/config"
	"shannot-gateway/internal/commandline"
	"shannot-gateway/sandbox/native"
	"shannot-gateway/sandbox/pypy"
)

// interpreters is what can be done with an interpreter that scripts run in.
type interpreters map[string]func(ctx context.Context, c *config.Config, dir string, from []string) int

// runtimeCommand is `runtime install|status|remove [native|pypy]`.
func (p *program) runtimeCommand() *cobra.Command {
	return group("runtime COMMAND", "the interpreters that scripts run in", "Installs, shows and removes the interpreters that scripts run in.",
		p.runtimeVerb("install", "install an interpreter", `Installs an interpreter into the state directory and tries it in the sandbox: native, the CPython `+
			`that is built in (serve does the same), or pypy, which is downloaded, unless --from names what was brought here.`,
			interpreters{config.NativeEngine: p.installNative, config.PyPyEngine: p.installPyPy}),
		p.runtimeVerb("status", "say which interpreter is installed", "Says which interpreter is installed. The exit status is 1 where there is none.",
			interpreters{config.NativeEngine: p.nativeStatus, config.PyPyEngine: p.pypyStatus}),
		p.runtimeVerb("remove", "remove an installed interpreter", "Removes an installed interpreter. serve installs the native one again.",
			interpreters{config.NativeEngine: p.removeNative, config.PyPyEngine: p.removePyPy}))
}

// runtimeVerb is one of `runtime …`.
func (p *program) runtimeVerb(name, short, long string, verbs interpreters) *cobra.Command {
	var where place
	var from []string
	engine := config.NativeEngine
	cmd := &cobra.Command{
		Use: name + " [native|pypy] [--config FILE] [--state DIR]", Short: short, Long: long,
		Example:   "shannot-gateway runtime " + name + " pypy",
		ValidArgs: config.Engines(),
	}
	where.flags(cmd)
	if name == "install" {
		cmd.Use += " [--from ARCHIVE]…"
		cmd.Flags().StringArrayVar(&from, "from", nil, "for pypy: an `ARCHIVE` that was brought here; say it for both, and nothing is downloaded")
	}
	cmd.Args = func(_ *cobra.Command, words []string) error {
		if len(words) > 0 {
			engine = words[0]
		}
		switch {
		case len(words) > 1:
			return commandline.Unexpected(words[1])
		case verbs[engine] == nil:
			return fmt.Errorf("there is no engine %q: it is native or pypy", commandline.Shortened(engine))
		case len(from) > 0 && engine != config.PyPyEngine:
			return errors.New("--from is for pypy")
		}
		return nil
	}
	return p.does(cmd, func(ctx context.Context, _ []string) int {
		c, err := loadConfig(where.config, "", where.state)
		if err != nil {
			return p.fail(err)
		}
		return verbs[engine](ctx, c, filepath.Join(c.State, runtimeFolder), from)
	})
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
