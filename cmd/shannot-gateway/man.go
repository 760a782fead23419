package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"shannot-gateway/gateway/command"
	"shannot-gateway/internal/commandline"
)

// verbsPage is the man page of what can be typed over SSH. Each verb has one of its own, whose name begins with it.
const verbsPage = "shannot-ssh"

// localExits are the exit statuses of the local commands.
var localExits = []commandline.Exit{
	{Status: exitOK, Meaning: "It was done."},
	{Status: exitFailure, Meaning: "It failed, or found what it looks for; stderr or stdout says what."},
	{Status: exitUsage, Meaning: "The command line is wrong. Nothing was done."},
}

// manCommand is `man --dir DIR`.
func (p *program) manCommand() *cobra.Command {
	dir := ""
	cmd := &cobra.Command{
		Use:   "man --dir DIR",
		Short: "write the manual pages",
		Long: `Writes the manual pages of this program's commands, and of the verbs that are typed over SSH, into a directory: a file for ` +
			`each, all of section 1.`,
		Example: `shannot-gateway man --dir /usr/local/share/man/man1
man shannot-gateway-serve`,
	}
	cmd.Flags().StringVar(&dir, "dir", "", "the directory `DIR`, which is made where it is not there")
	_ = cmd.MarkFlagDirname("dir")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if dir == "" {
			return errors.New("--dir is missing")
		}
		return nil
	}
	return p.does(cmd, func(context.Context, []string) int {
		if err := writeMan(dir, manPages(p.root())); err != nil {
			return p.fail(err)
		}
		return exitOK
	})
}

// writeMan writes manual pages into a directory.
func writeMan(dir string, pages map[string][]byte) error {
	if err := os.MkdirAll(dir, 0o755); err != nil { // #nosec G301 -- manual pages are for everybody
		return fmt.Errorf("make the directory for the manual pages: %w", err)
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil { // #nosec G306 -- as above
			return fmt.Errorf("write a manual page: %w", err)
		}
	}
	return nil
}

// manPages are all manual pages, by the names of their files.
func manPages(root *cobra.Command) map[string][]byte {
	pages := map[string][]byte{}
	see := []string{programName}
	for _, cmd := range commandline.Children(root) {
		name := programName + "-" + cmd.Name()
		see = append(see, name)
		pages[name+".1"] = commandline.Man(cmd, commandline.Manual{Name: name, Before: programName, Exits: localExits, See: []string{programName, verbsPage}})
	}
	pages[programName+".1"] = commandline.Man(root, commandline.Manual{Name: programName, Exits: localExits, See: append(slices.Clone(see[1:]), verbsPage)})
	for name, text := range command.Manual(verbsPage, []string{programName}) {
		pages[name+".1"] = text
	}
	return pages
}
