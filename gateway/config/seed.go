package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Imported is what a file of Shannot becomes: https://github.com/corv89/shannot.
type Imported struct {
	TOML  string   // sections of a configuration, which load
	Notes []string // what the sections do not say, a line each: text of the file may be in them
}

// seedProfile has the keys of Shannot's JSON profiles: two of the later form, the others of the one with Bubblewrap.
type seedProfile struct {
	AutoApprove []string `json:"auto_approve"`
	AlwaysDeny  []string `json:"always_deny"`

	Name     string   `json:"name"`
	Commands []string `json:"allowed_commands"`
	Binds    []struct {
		Source   string `json:"source"`
		Target   string `json:"target"`
		ReadOnly *bool  `json:"read_only"`
		Create   bool   `json:"create_target"`
	} `json:"binds"`
	Scratch     []string          `json:"tmpfs_paths"`
	Environment map[string]string `json:"environment"`
	Seccomp     *string           `json:"seccomp_profile"`
	Isolated    *bool             `json:"network_isolation"`
	Arguments   []string          `json:"additional_args"`
}

// seedExecutor is an [executor.NAME] of Shannot's TOML.
type seedExecutor struct {
	Type        string `toml:"type"`
	Profile     string `toml:"profile"`
	Bubblewrap  string `toml:"bwrap_path"`
	Host        string `toml:"host"`
	User        string `toml:"username"`
	Key         string `toml:"key_file"`
	Port        int    `toml:"port"`
	Connections int    `toml:"connection_pool_size"`
	KnownHosts  string `toml:"known_hosts"`
	Strict      *bool  `toml:"strict_host_key"`
}

// Import turns a profile (JSON) or a list of executors or remotes (TOML) of Shannot into sections of a configuration. A
// key that is in none of Shannot's forms is an error.
func Import(text []byte) (Imported, error) {
	var out Imported
	var err error
	if len(text) > maxFile {
		return out, fmt.Errorf("it is larger than %d bytes", maxFile)
	}
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		out, err = importProfile(text)
	} else {
		out, err = importExecutors(text)
	}
	if err != nil {
		return Imported{}, err
	}
	if _, err := Parse([]byte(out.TOML), ""); err != nil {
		return Imported{}, fmt.Errorf("what it says would not load: %w", err)
	}
	return out, nil
}

func (i *Imported) note(format string, args ...any) {
	i.Notes = append(i.Notes, fmt.Sprintf(format, args...))
}

func importProfile(text []byte) (Imported, error) {
	var out Imported
	var p seedProfile
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return out, fmt.Errorf("it is no profile of Shannot's: %w", err)
	}
	if d.More() {
		return out, errors.New("it is no profile of Shannot's: something follows the object")
	}
	commands := slices.Clone(p.AutoApprove)
	if p.Commands != nil {
		commands = append(commands, p.names(&out)...)
	}
	if p.AutoApprove != nil || p.Commands != nil || p.AlwaysDeny != nil {
		out.TOML += "[profile]\n"
		if p.AutoApprove != nil || p.Commands != nil {
			out.TOML += "auto_approve = " + lines(commands)
		}
		if p.AlwaysDeny != nil {
			out.TOML += "always_deny = " + lines(p.AlwaysDeny)
		}
	}
	p.files(&out)
	p.left(&out)
	if out.TOML == "" {
		return out, errors.New("it is no profile of Shannot's: it has none of auto_approve, always_deny, allowed_commands, binds, tmpfs_paths")
	}
	return out, nil
}

// lines is an array with one element a line.
func lines(list []string) string {
	if len(list) == 0 {
		return "[]\n"
	}
	var b strings.Builder
	b.WriteString("[\n")
	for _, s := range list {
		b.WriteString("  " + TOMLString(s) + ",\n")
	}
	return b.String() + "]\n"
}

// names are the programs of allowed_commands, each once. The policy knows a program by its name in the usual directories.
func (p *seedProfile) names(out *Imported) []string {
	if len(p.Commands) == 0 {
		out.note("allowed_commands is empty, which allows every command there: here a human is asked about each")
	}
	var names []string
	for _, c := range p.Commands {
		dir, name := path.Split(c)
		switch {
		case strings.ContainsAny(c, "*?["):
			out.note("allowed_commands %q is a pattern: name the programs", c)
			continue
		case dir != "" && !slices.Contains([]string{"/bin/", "/sbin/", "/usr/bin/", "/usr/sbin/"}, dir):
			out.note("allowed_commands %q is left out: a program in %s always asks", c, dir)
			continue
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// files turns the file system of a profile into what scripts see.
func (p *seedProfile) files(out *Imported) {
	if p.Binds == nil && p.Scratch == nil {
		return
	}
	out.TOML += "[files]\n"
	if p.Binds != nil {
		var read []string
		for _, b := range p.Binds {
			if b.Target != b.Source {
				out.note("binds: %q has its own name here, and not %q", b.Source, b.Target)
			}
			if b.ReadOnly != nil && !*b.ReadOnly && b.Source != "/proc" {
				out.note("binds: %q can be written there: here a human decides on each change", b.Source)
			}
			if !slices.Contains(read, b.Source) {
				read = append(read, b.Source)
			}
		}
		out.TOML += "read = " + lines(read)
	}
	if p.Scratch != nil {
		out.TOML += "scratch = " + lines(p.Scratch)
	}
}

// left names what a profile says and nothing here does.
func (p *seedProfile) left(out *Imported) {
	if len(p.Environment) > 0 {
		out.note("environment (%s) is left out: a command has the environment of its account, and what the script sets",
			strings.Join(slices.Sorted(maps.Keys(p.Environment)), ", "))
	}
	if p.Seccomp != nil {
		out.note("seccomp_profile %q is left out: the sandbox and the jail have filters of their own", *p.Seccomp)
	}
	if p.Isolated != nil && !*p.Isolated {
		out.note("network_isolation = false is left out: a script has no network, and a command asks")
	}
	if len(p.Arguments) > 0 {
		out.note("additional_args (%s) is left out: there is no Bubblewrap", strings.Join(p.Arguments, " "))
	}
}

func importExecutors(text []byte) (Imported, error) {
	var out Imported
	var f struct {
		Default   string                  `toml:"default_executor"`
		Executor  map[string]seedExecutor `toml:"executor"`
		Executors map[string]seedExecutor `toml:"executors"` // as some pages of its documentation write it
		Remotes   map[string]fileRemote   `toml:"remotes"`
		Profile   map[string]any          `toml:"profile"`
		Audit     map[string]any          `toml:"audit"`
	}
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&f); err != nil {
		return out, fmt.Errorf("it is neither a JSON profile nor a TOML configuration of Shannot's: %w", explainSeed(err))
	}
	if len(f.Remotes)+len(f.Profile)+len(f.Audit) > 0 {
		if len(f.Executor)+len(f.Executors) > 0 {
			return out, errors.New("it has executors and sections of a later form: import each from a file of its own")
		}
		return Imported{TOML: string(text), Notes: []string{"it is as it was: these sections mean the same here"}}, nil
	}
	if len(f.Executor) == 0 {
		f.Executor = f.Executors
	}
	if len(f.Executor) == 0 {
		return out, errors.New("it names no executor and no remote")
	}
	for _, name := range slices.Sorted(maps.Keys(f.Executor)) {
		if err := f.Executor[name].write(&out, name); err != nil {
			return out, err
		}
	}
	if f.Default != "" && f.Default != LocalTarget {
		out.note("default_executor %q is left out: a script names its target, ssh HOST run --target %s", f.Default, f.Default)
	}
	return out, nil
}

// write writes one executor as a remote.
func (e seedExecutor) write(out *Imported, name string) error {
	if e.Profile != "" {
		out.note("executor %q has the profile %q: [profile] is one for all targets; import that file, too", name, e.Profile)
	}
	switch e.Type {
	case "local":
		return nil
	case "ssh":
	default:
		return fmt.Errorf("executor %q has the type %q: there are local and ssh", name, e.Type)
	}
	settings := []Setting{{"host", TOMLString(e.Host)}}
	for _, s := range []Setting{{"user", e.User}, {"key", e.Key}, {"known_hosts", e.KnownHosts}} {
		if s.Value != "" {
			settings = append(settings, Setting{s.Key, TOMLString(s.Value)})
		}
	}
	if e.Port != 0 {
		settings = append(settings, Setting{"port", fmt.Sprint(e.Port)})
	}
	if e.Strict != nil && !*e.Strict {
		out.note("executor %q takes any host key: here its key has to be accepted, shannot-gateway targets trust %s", name, name)
	}
	text, err := AddRemote([]byte(out.TOML), name, settings)
	if err != nil {
		return fmt.Errorf("executor %q: %w", name, err)
	}
	out.TOML = string(text)
	return nil
}

// explainSeed names the place and the key of a decoder's error.
func explainSeed(err error) error {
	var strict *toml.StrictMissingError
	if errors.As(err, &strict) && len(strict.Errors) > 0 {
		line, _ := strict.Errors[0].Position()
		return fmt.Errorf("line %d: unknown key %s", line, quoteKey(strict.Errors[0].Key()))
	}
	return explain(err)
}
