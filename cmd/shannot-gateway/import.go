package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/config"
)

// importCommand is `import [FILE…]`.
func importCommand(p *program) *cobra.Command {
	return p.does(&cobra.Command{
		Use: "import [FILE...]", Short: "print what files of Shannot become in a configuration",
		Long: `Reads profiles (JSON) and executors (TOML) of Shannot and prints the sections of the gateway's configuration that say the ` +
			`same; - is standard input. Standard error says what has no place there. Without FILE it reads the files that Shannot would: ` +
			`.shannot/profile.json of this directory or one above, profile.json, config.toml and remotes.toml in ~/.config/shannot.`,
		Example: `shannot-gateway import
shannot-gateway import profile.json >> /etc/shannot-gateway/config.toml`,
		Args: cobra.ArbitraryArgs,
	}, func(_ context.Context, names []string) int {
		if err := (importRun{p}).files(names); err != nil {
			return p.fail(err)
		}
		return exitOK
	})
}

// importRun is one run of `import`.
type importRun struct{ *program }

// files prints the sections of all files, or where one is wrong, nothing.
func (p importRun) files(names []string) error {
	if len(names) == 0 {
		names = shannotFiles()
	}
	if len(names) == 0 {
		return errors.New("there is no file of Shannot's where it would look for one; name it: shannot-gateway import FILE")
	}
	var sections []string
	for _, name := range names {
		text, err := p.read(name)
		if err != nil {
			return err
		}
		out, err := config.Import(text)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		for _, note := range out.Notes {
			_, _ = fmt.Fprintf(p.stderr, "shannot-gateway: %s: %s\n", name, render.Line(note))
		}
		sections = append(sections, "# From "+render.Line(name).String()+".\n"+out.TOML)
	}
	text := strings.Join(sections, "\n")
	if _, err := config.Parse([]byte(text), ""); err != nil {
		return fmt.Errorf("these files do not go together, import them one by one: %w", err)
	}
	_, err := io.WriteString(p.stdout, text)
	return err
}

// maxImport is the largest file that is read, in bytes: one more than the largest that is taken.
const maxImport = 1<<20 + 1

func (p importRun) read(name string) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(p.stdin, maxImport))
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return io.ReadAll(io.LimitReader(f, maxImport))
}

// shannotFiles are the files that Shannot itself would read: the nearest profile, and the hosts of either form.
func shannotFiles() []string {
	var own []string
	if dir, err := os.UserConfigDir(); err == nil {
		own = append(own, filepath.Join(dir, "shannot"))
	}
	var profiles, names []string
	if dir, err := os.Getwd(); err == nil {
		for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
			profiles = append(profiles, filepath.Join(dir, ".shannot", "profile.json"))
		}
	}
	for _, dir := range own {
		profiles = append(profiles, filepath.Join(dir, "profile.json"))
	}
	for _, name := range append(profiles, "/etc/shannot/profile.json") {
		if _, err := os.Stat(name); !errors.Is(err, fs.ErrNotExist) {
			names = append(names, name)
			break
		}
	}
	for _, dir := range own {
		for _, name := range []string{"config.toml", "remotes.toml"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				names = append(names, filepath.Join(dir, name))
			}
		}
	}
	return names
}
