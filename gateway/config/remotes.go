package config

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"shannot-gateway/hostkeys"
	"shannot-gateway/vfs"
)

// Remote is a target reached over SSH.
type Remote struct {
	Host, User   string
	Port         int
	Key          string // file with a private key, absolute
	Agent        string // socket of an ssh-agent, absolute
	Certificate  bool   // log in with certificates of the gateway's own authority
	Source       string // their source-address; "" is this host's address, "none" leaves it out
	KnownHosts   string // file, absolute
	Fingerprints []string
	Jump         []string      // names of remotes
	Cache        time.Duration // how long what a session saw there is believed at most; 0 sets no bound
	Files        Files         // read policy; Scratch is that of [files]
	OwnRead      bool          // Files.Read is the remote's own
	Wall         string        // what holds commands that nobody was asked about: "auto", "required" or "none"
}

type fileRemote struct {
	Host        string      `toml:"host"`
	User        string      `toml:"user"`
	Port        *int        `toml:"port"`
	Key         string      `toml:"key"`
	Agent       string      `toml:"agent"`
	Certificate bool        `toml:"certificate"`
	Source      string      `toml:"source_address"`
	KnownHosts  string      `toml:"known_hosts"`
	Fingerprint fingerprint `toml:"fingerprint"`
	Jump        []string    `toml:"jump"`
	Cache       duration    `toml:"cache"`
	Wall        string      `toml:"wall"`
	Files       struct {
		Read []string `toml:"read"`
		Hide []string `toml:"hide"`
	} `toml:"files"`
}

// fingerprint is one or several, separated by spaces or commas: a host has a key of each type.
type fingerprint struct{ values []string }

// UnmarshalText implements encoding.TextUnmarshaler.
func (f *fingerprint) UnmarshalText(text []byte) error {
	f.values = strings.FieldsFunc(string(text), func(r rune) bool { return r == ' ' || r == ',' })
	for _, v := range f.values {
		if err := hostkeys.CheckFingerprint(v); err != nil {
			return err
		}
	}
	return nil
}

func (f *file) checkRemotes(c *Config) error {
	c.Remotes = map[string]Remote{}
	for _, name := range slices.Sorted(maps.Keys(f.Remotes)) {
		r, err := f.Remotes[name].check(c, name)
		if err != nil {
			return err
		}
		c.Remotes[name] = r
	}
	for name, r := range c.Remotes {
		for _, hop := range r.Jump {
			if _, ok := c.Remotes[hop]; !ok {
				return fmt.Errorf("[remotes.%s] jump: there is no [remotes.%s]", name, hop)
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.Remotes)) {
		if _, err := c.Way(name); err != nil {
			return err
		}
	}
	return f.checkGroups(c)
}

// check checks what one section says by itself.
func (r fileRemote) check(c *Config, name string) (Remote, error) {
	out := Remote{
		Host: r.Host, User: r.User, Port: 22, Certificate: r.Certificate, Source: r.Source, Fingerprints: r.Fingerprint.values, Jump: r.Jump,
		Cache: r.Cache.value, Wall: cmp.Or(r.Wall, "auto"),
	}
	if r.Port != nil {
		out.Port = *r.Port
	}
	ways := 0
	for _, set := range []bool{r.Key != "", r.Agent != "", r.Certificate} {
		if set {
			ways++
		}
	}
	switch {
	case !names.MatchString(name):
		return out, fmt.Errorf("[remotes.%q]: a name is letters, digits, dots, dashes and underscores", name)
	case name == LocalTarget:
		return out, fmt.Errorf("[remotes.%s]: that name is the gateway's own host", name)
	case r.Host == "" || strings.HasPrefix(r.Host, "-"):
		return out, fmt.Errorf("[remotes.%s]: host is missing or begins with a dash", name)
	case strings.ContainsAny(r.Host, " /@") || hasControl(r.Host):
		return out, fmt.Errorf("[remotes.%s] host = %q is not a host's name or address; the user goes into user", name, r.Host)
	case strings.ContainsAny(r.User, " :") || hasControl(r.User):
		return out, fmt.Errorf("[remotes.%s] user = %q is not a user's name", name, r.User)
	case out.Port < 1 || out.Port > 65535:
		return out, fmt.Errorf("[remotes.%s] port = %d is not a port", name, out.Port)
	case ways > 1:
		return out, fmt.Errorf("[remotes.%s]: name one of key, agent and certificate", name)
	case !slices.Contains([]string{"auto", "required", "none"}, out.Wall):
		return out, fmt.Errorf("[remotes.%s] wall = %q: it is \"auto\", \"required\" or \"none\"", name, out.Wall)
	case r.Source != "" && !r.Certificate:
		return out, fmt.Errorf("[remotes.%s] source_address: only certificates have one", name)
	}
	if err := checkSource(r.Source); err != nil {
		return out, fmt.Errorf("[remotes.%s] source_address: %w", name, err)
	}
	if out.User == "" {
		me, err := user.Current()
		if err != nil {
			return out, fmt.Errorf("[remotes.%s]: user is missing", name)
		}
		out.User = me.Username
	}
	for _, f := range []struct {
		to   *string
		from string
	}{{&out.Key, r.Key}, {&out.Agent, r.Agent}, {&out.KnownHosts, r.KnownHosts}} {
		var err error
		if *f.to, err = c.fileName(f.from); err != nil {
			return out, fmt.Errorf("[remotes.%s]: %w", name, err)
		}
	}
	return out, nil
}

// hasControl reports whether a text holds what a terminal might obey.
func hasControl(s string) bool { return strings.IndexFunc(s, unicode.IsControl) >= 0 }

// checkSource checks a list of addresses and networks, as a certificate's source-address has it.
func checkSource(list string) error {
	if list == "" || list == "none" {
		return nil
	}
	for _, part := range strings.Split(list, ",") {
		if _, _, err := net.ParseCIDR(part); err != nil && net.ParseIP(part) == nil {
			return fmt.Errorf("%q is not an address or a network; write addresses and networks with commas, or \"none\"", part)
		}
	}
	return nil
}

// fileName makes a file's name absolute: "~/" is the home directory, and a relative name starts from the
// configuration's directory.
func (c *Config) fileName(name string) (string, error) {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
		return filepath.Join(home, rest), nil
	}
	if name == "" || filepath.IsAbs(name) || c.Path == "" {
		return name, nil
	}
	return filepath.Join(filepath.Dir(c.Path), name), nil
}

// maxHops bounds the way to a target.
const maxHops = 8

// Way lists the remotes on the way to one, itself the last: those of its jump, the first of them by its own way.
func (c *Config) Way(name string) ([]string, error) {
	way := []string{name}
	for jump := c.Remotes[name].Jump; len(jump) > 0; jump = c.Remotes[way[0]].Jump {
		way = slices.Concat(jump, way)
		if len(way) > maxHops {
			return nil, fmt.Errorf("[remotes.%s] jump: the way goes through more than %d hosts, or in a circle", name, maxHops)
		}
	}
	return way, nil
}

func (f *file) checkGroups(c *Config) error {
	c.Groups = map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(f.Groups)) {
		members := f.Groups[name]
		_, taken := c.Remotes[name]
		switch {
		case !names.MatchString(name):
			return fmt.Errorf("[groups] %q: a name is letters, digits, dots, dashes and underscores", name)
		case taken || name == LocalTarget:
			return fmt.Errorf("[groups] %s: that name is a target's", name)
		case len(members) == 0:
			return fmt.Errorf("[groups] %s is empty", name)
		}
		for i, m := range members {
			if _, group := f.Groups[m]; group {
				return fmt.Errorf("[groups] %s: %s is a group itself: name its targets", name, m)
			}
			if _, ok := c.Remotes[m]; !ok && m != LocalTarget {
				return fmt.Errorf("[groups] %s: there is no [remotes.%s]", name, m)
			}
			if slices.Contains(members[:i], m) {
				return fmt.Errorf("[groups] %s names %s twice", name, m)
			}
		}
		c.Groups[name] = members
	}
	return nil
}

// checkRemoteFiles makes the read policy of each remote. What [files] hides is hidden there too.
func (f *file) checkRemoteFiles(c *Config) error {
	for _, name := range slices.Sorted(maps.Keys(c.Remotes)) {
		r, from := c.Remotes[name], f.Remotes[name].Files
		r.Files = Files{Read: c.Files.Read, Scratch: c.Files.Scratch, Hide: slices.Concat(vfs.DefaultHide(), f.Files.Hide, from.Hide)}
		if from.Read != nil {
			r.Files.Read, r.OwnRead = from.Read, true
		}
		if _, err := vfs.NewPolicy(r.Files.Read, r.Files.Hide); err != nil {
			return fmt.Errorf("[remotes.%s.files]: %w", name, err)
		}
		c.Remotes[name] = r
	}
	return nil
}

// expand replaces the names of groups by their members', each target once. A name that is neither a target's nor a
// group's is an error.
func (c *Config) expand(list []string) ([]string, error) {
	var out []string
	add := func(name string) {
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, name := range list {
		_, remote := c.Remotes[name]
		members, group := c.Groups[name]
		switch {
		case remote || name == LocalTarget:
			add(name)
		case group:
			for _, m := range members {
				add(m)
			}
		default:
			return nil, fmt.Errorf("there is no [remotes.%s], and no group %s in [groups]", name, name)
		}
	}
	return out, nil
}
