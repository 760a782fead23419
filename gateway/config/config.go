// Package config reads the gateway's one configuration file. It knows every key and its default, and refuses what it does
// not understand: a misspelt limit must never become a missing one. It knows the types that its values become, and nothing
// that runs. It must never change anything on disk. Begin with Config and Parse in this file; docs/configuration.md lists
// the keys, and a test compares the two.
package config

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/pelletier/go-toml/v2"

	"shannot-gateway/approvals/audit"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/policy"
	"shannot-gateway/hostkeys"
	"shannot-gateway/vfs"
)

// Defaults of single values.
const (
	DefaultListen = "127.0.0.1:2222"
	DefaultState  = "/var/lib/shannot-gateway"
	LocalTarget   = "local" // the name of the gateway's own host
)

// DefaultWarm is how many interpreters the native engine starts ahead, and maxWarm how many it may.
const (
	DefaultWarm = 2
	maxWarm     = 64
)

// maxFile is the largest configuration that is read, in bytes.
const maxFile = 1 << 20

// Config is a whole, checked configuration.
type Config struct {
	Path   string // file it was read from, "" for none
	SHA256 string // of its text, hex
	// StrictModes refuses files that somebody else than root and the gateway's user can change, see CheckModes.
	StrictModes bool
	Listen      string // host:port
	State       string // directory, absolute
	// Warnings tell of what the configuration is not refused for, and an operator should know: a line each.
	Warnings []string

	Identities []Identity // sorted by name
	Profile    policy.Profile
	Native     Native
	Rehearsal  string // when waiting commands may be rehearsed: RehearseAsked or RehearseNever
	Jail       bool   // commands that run without a human run in a read-only jail, where this host has one
	Files      Files
	Limits     Limits

	Connections Connections

	RunAs     string // user of commands on this host; "" for the gateway's own
	Audit     Audit
	Retention Retention
	Remotes   map[string]Remote
	Groups    map[string][]string // names of targets, by the group's name
	HostKeys  []hostkeys.Type
	SSH       Algorithms
	Engine    string // what runs scripts where nobody says otherwise, "native" or "pypy"
	PyPy      PyPy
	Shell     Shell
}

// PyPy says where a pypy-sandbox is; an empty field leaves it to be found.
type PyPy struct {
	Executable string // absolute
	Library    string // absolute: the directory with lib-python/3 and lib_pypy
}

// Files is what scripts see of a target.
type Files struct {
	Read    []string // patterns, see vfs.NewPolicy
	Hide    []string // with the built-in ones, the state directory and the configuration file
	Scratch []string // directories of the session's own
}

// Limits bound one session, or the gateway as a whole; 0 means none.
type Limits struct {
	Wall, CPU, Hold, Expire       time.Duration
	Lifetime                      time.Duration // that a session may be alive, waiting for humans included
	Grant                         time.Duration // the longest that a grant lasts
	Memory, Output, Script, Write int64         // bytes
	Checkpoint                    int64         // bytes that are kept of what a session's files held before
	Operations                    int
	Processes, Threads, Files     int // interpreters, their threads in sum, descriptors of each
	Nodes                         int // files that a session makes, changes or removes
	Calls                         int // system calls a second
	Sessions, SessionsPerIdentity int
	Uploads, UploadsPerIdentity   int           // changes over SFTP at once
	Queue                         time.Duration // how long a session waits for a place; 0 means not at all
}

// Shell is the sandboxed shell's configuration.
type Shell struct {
	Enabled bool
}

// Native is the native engine's configuration.
type Native struct {
	Warm int // interpreters that are started ahead
}

// Retention says how long sessions that have ended are kept; 0 means without limit.
type Retention struct {
	Sessions            int
	SessionsPerIdentity int
	BytesPerIdentity    int64
	Age                 time.Duration // since the end
}

// Audit is the audit log's configuration.
type Audit struct {
	Enabled  bool
	Dir      string
	Rotation string // "daily", "session" or "none"
	MaxFiles int
	// BytesPerIdentity is how much of the log an identity may cause a day, 0 for no limit.
	BytesPerIdentity int64
	Skip             map[string]bool // kinds of events that are not wanted, see approvals/audit
	Redact           *audit.Redactor
}

// Algorithms are the SSH algorithms on offer, in order of preference; an empty list means the library's secure ones.
type Algorithms struct{ KeyExchanges, Ciphers, MACs []string }

// When waiting commands may be rehearsed: the values of Config.Rehearsal.
const (
	RehearseAsked = "asked" // when an approver asks for it
	RehearseNever = "never"
)

// DefaultLimits are the limits where the file says nothing.
func DefaultLimits() Limits {
	return Limits{
		Wall: 10 * time.Minute, CPU: time.Minute, Hold: 10 * time.Minute, Expire: 24 * time.Hour, Lifetime: 2 * time.Hour, Grant: 24 * time.Hour,
		Memory: 512 << 20, Output: 16 << 20, Script: 1 << 20, Write: 50 << 20, Checkpoint: 256 << 20,
		Processes: 16, Threads: 64, Files: 1024, Nodes: 65536, Calls: 100_000,
		Operations: 1000, Sessions: 64, SessionsPerIdentity: 8, Queue: 30 * time.Second,
		Uploads: 32, UploadsPerIdentity: 8,
	}
}

// file is the TOML document. Pointers and nil slices tell what was not said.
type file struct {
	Listen     string                  `toml:"listen"`
	Strict     *bool                   `toml:"strict_modes"`
	State      string                  `toml:"state"`
	Identities map[string]fileIdentity `toml:"identities"`
	Profile    struct {
		AutoApprove []string `toml:"auto_approve"`
		AlwaysDeny  []string `toml:"always_deny"`
		Packs       []string `toml:"packs"`
		Jail        *bool    `toml:"jail"`
	} `toml:"profile"`
	Rehearsal struct {
		When string `toml:"when"`
	} `toml:"rehearsal"`
	Programs map[string]policy.Program `toml:"programs"`
	Engine   string                    `toml:"engine"`
	Engines  struct {
		Native struct {
			Warm *int `toml:"warm"`
		} `toml:"native"`
		PyPy struct {
			Executable string `toml:"executable"`
			Library    string `toml:"library"`
		} `toml:"pypy"`
		Shell struct {
			Enabled bool `toml:"enabled"`
		} `toml:"shell"`
	} `toml:"engines"`
	Files struct {
		Read    []string `toml:"read"`
		Hide    []string `toml:"hide"`
		Scratch []string `toml:"scratch"`
	} `toml:"files"`
	Limits struct {
		Wall                *duration `toml:"wall"`
		CPU                 *duration `toml:"cpu"`
		Memory              *size     `toml:"memory"`
		Output              *size     `toml:"output"`
		Script              *size     `toml:"script"`
		Write               *size     `toml:"write"`
		Checkpoint          *size     `toml:"checkpoint"`
		Operations          *int      `toml:"operations"`
		Processes           *int      `toml:"processes"`
		Threads             *int      `toml:"threads"`
		Files               *int      `toml:"files"`
		Nodes               *int      `toml:"nodes"`
		Calls               *int      `toml:"calls"`
		Hold                *duration `toml:"hold"`
		Lifetime            *duration `toml:"lifetime"`
		Expire              *duration `toml:"expire"`
		Grant               *duration `toml:"grant"`
		Sessions            *int      `toml:"sessions"`
		SessionsPerIdentity *int      `toml:"sessions_per_identity"`
		Queue               *duration `toml:"queue"`
		Uploads             *int      `toml:"uploads"`
		UploadsPerIdentity  *int      `toml:"uploads_per_identity"`
	} `toml:"limits"`
	Connections fileConnections `toml:"connections"`
	Local       struct {
		RunAs string `toml:"run_as"`
	} `toml:"local"`
	Audit struct {
		Enabled          *bool           `toml:"enabled"`
		LogDir           string          `toml:"log_dir"`
		Path             string          `toml:"path"`
		Rotation         string          `toml:"rotation"`
		MaxFiles         *int            `toml:"max_files"`
		BytesPerIdentity *size           `toml:"bytes_per_identity"`
		Events           map[string]bool `toml:"events"`
		Redact           []string        `toml:"redact"`
	} `toml:"audit"`
	Retention struct {
		Sessions            *int      `toml:"sessions"`
		SessionsPerIdentity *int      `toml:"sessions_per_identity"`
		BytesPerIdentity    *size     `toml:"bytes_per_identity"`
		Age                 *duration `toml:"age"`
	} `toml:"retention"`
	Remotes  map[string]fileRemote `toml:"remotes"`
	Groups   map[string][]string   `toml:"groups"`
	HostKeys struct {
		Types []string `toml:"types"`
	} `toml:"hostkeys"`
	SSH struct {
		KeyExchanges []string `toml:"kex"`
		Ciphers      []string `toml:"ciphers"`
		MACs         []string `toml:"macs"`
	} `toml:"ssh"`
}

type fileIdentity struct {
	Role           string   `toml:"role"`
	Keys           []string `toml:"keys"`
	AuthorizedKeys string   `toml:"authorized_keys"`
	Targets        []string `toml:"targets"`
}

// Load reads and checks a file. An empty path gives the defaults.
func Load(path string) (*Config, error) {
	if path == "" {
		return Parse(nil, "")
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read the configuration %s: %w", path, err)
	}
	if len(text) > maxFile {
		return nil, fmt.Errorf("read the configuration %s: it is larger than %d bytes", path, maxFile)
	}
	c, err := Parse(text, path)
	if err != nil {
		return nil, err
	}
	if c.StrictModes {
		if err := CheckModes(path); err != nil {
			return nil, fmt.Errorf("configuration: %w", err)
		}
	}
	return c, nil
}

// Parse checks the text of a configuration. Path is its name: errors have it, and relative file names start from its
// directory.
func Parse(text []byte, path string) (*Config, error) {
	var f file
	decoder := toml.NewDecoder(strings.NewReader(string(text))).DisallowUnknownFields()
	if err := decoder.Decode(&f); err != nil {
		return nil, fmt.Errorf("configuration%s: %w", in(path), explain(err))
	}
	c, err := f.check(path)
	if err != nil {
		return nil, fmt.Errorf("configuration%s: %w", in(path), err)
	}
	sum := sha256.Sum256(text)
	c.SHA256 = hex.EncodeToString(sum[:])
	return c, nil
}

func in(path string) string {
	if path == "" {
		return ""
	}
	return " " + path
}

// check turns the document into a Config.
func (f *file) check(path string) (*Config, error) {
	c := &Config{Path: path, Listen: DefaultListen, State: DefaultState, RunAs: f.Local.RunAs, StrictModes: f.Strict == nil || *f.Strict}
	if path != "" {
		absolute, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		c.Path = absolute
	}
	if f.Listen != "" {
		c.Listen = f.Listen
	}
	if f.State != "" {
		var err error
		if c.State, err = c.fileName(f.State); err != nil {
			return nil, fmt.Errorf("state = %w", err)
		}
	}
	c.Profile = policy.DefaultProfile()
	c.Jail = f.Profile.Jail == nil || *f.Profile.Jail
	switch c.Rehearsal = f.Rehearsal.When; c.Rehearsal {
	case "":
		c.Rehearsal = RehearseAsked
	case RehearseAsked, RehearseNever:
	default:
		return nil, fmt.Errorf("rehearsal.when = %q: it is %q or %q", c.Rehearsal, RehearseAsked, RehearseNever)
	}
	if c.Native.Warm = DefaultWarm; f.Engines.Native.Warm != nil {
		c.Native.Warm = *f.Engines.Native.Warm
	}
	if c.Native.Warm < 0 || c.Native.Warm > maxWarm {
		return nil, fmt.Errorf("engines.native.warm = %d: it is a number from 0 (none) to %d", c.Native.Warm, maxWarm)
	}
	if f.Profile.AutoApprove != nil {
		c.Profile.AutoApprove = f.Profile.AutoApprove
	}
	if f.Profile.AlwaysDeny != nil {
		c.Profile.AlwaysDeny = f.Profile.AlwaysDeny
	}
	c.Profile.Packs = f.Profile.Packs
	c.Profile.Programs = f.Programs
	for _, step := range []func(*Config) error{
		f.checkPlaces, f.checkLimits, f.checkRetention, f.checkAudit, f.checkRemotes, f.checkIdentities, f.checkSSH,
		f.checkFiles, f.checkRemoteFiles, f.checkProfile, f.checkEngines, f.checkConnections,
	} {
		if err := step(c); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// checkProfile tries the lists and rows, so that what is wrong with them is found before anything is served.
func (f *file) checkProfile(c *Config) error {
	if _, err := policy.New(c.Profile); err != nil {
		return fmt.Errorf("[profile]: %w", err)
	}
	return nil
}

func (f *file) checkPlaces(c *Config) error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return fmt.Errorf("listen = %q: %w; write HOST:PORT, for instance %q", c.Listen, err, DefaultListen)
	}
	return c.SetState(c.State)
}

// SetState moves the state directory and hides it, as --state does.
func (c *Config) SetState(dir string) error {
	if dir == "" || strings.ContainsRune(dir, 0) {
		return fmt.Errorf("state = %q is not a directory name", dir)
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("state = %q: %w", dir, err)
	}
	if absolute == "/" {
		return errors.New("state = \"/\": give the gateway a directory of its own")
	}
	c.State = absolute
	if c.Files.Hide != nil {
		c.hide(absolute)
	}
	return nil
}

// hide adds a file of the gateway's own to what scripts do not see, under its real name too.
func (c *Config) hide(name string) {
	for _, n := range []string{name, realName(name)} {
		if !slices.Contains(c.Files.Hide, n) {
			c.Files.Hide = append(c.Files.Hide, n)
		}
	}
	c.Profile.Hide = c.Files.Hide
}

// realName resolves links in the part of a name that exists already.
func realName(name string) string {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		return real
	}
	dir := filepath.Dir(name)
	if dir == name {
		return name
	}
	return filepath.Join(realName(dir), filepath.Base(name))
}

func (f *file) checkFiles(c *Config) error {
	c.Files.Read, c.Files.Scratch = f.Files.Read, f.Files.Scratch
	if c.Files.Read == nil {
		c.Files.Read = vfs.DefaultRead()
	}
	if c.Files.Scratch == nil {
		c.Files.Scratch = []string{"/tmp", "/var/tmp"}
	}
	for _, dir := range c.Files.Scratch {
		if !filepath.IsAbs(dir) || filepath.Clean(dir) != dir || dir == "/" {
			return fmt.Errorf("[files] scratch: %q is not a clean absolute path below /", dir)
		}
	}
	// What is hidden can only grow: a list in the file adds to the built-in one.
	c.Files.Hide = slices.Concat(vfs.DefaultHide(), f.Files.Hide)
	c.hide(c.State)
	if c.Path != "" {
		c.hide(c.Path)
	}
	if c.Audit.Dir != "" {
		c.hide(c.Audit.Dir)
	}
	c.Profile.Read = f.Files.Read // the built-in list bounds scripts alone: commands look at the whole host
	if _, err := vfs.NewPolicy(c.Files.Read, c.Files.Hide); err != nil {
		return fmt.Errorf("[files]: %w", err)
	}
	return nil
}

func (f *file) checkLimits(c *Config) error {
	l := DefaultLimits()
	from := &f.Limits
	for _, p := range []struct {
		to   *time.Duration
		from *duration
	}{{&l.Wall, from.Wall}, {&l.CPU, from.CPU}, {&l.Hold, from.Hold}, {&l.Expire, from.Expire}, {&l.Lifetime, from.Lifetime}, {&l.Grant, from.Grant}, {&l.Queue, from.Queue}} {
		if p.from != nil {
			*p.to = p.from.value
		}
	}
	for _, p := range []struct {
		to   *int64
		from *size
	}{{&l.Memory, from.Memory}, {&l.Output, from.Output}, {&l.Script, from.Script}, {&l.Write, from.Write}, {&l.Checkpoint, from.Checkpoint}} {
		if p.from != nil {
			*p.to = p.from.value
		}
	}
	for key, p := range map[string]struct{ to, from *int }{
		"operations": {&l.Operations, from.Operations}, "sessions": {&l.Sessions, from.Sessions},
		"processes": {&l.Processes, from.Processes}, "threads": {&l.Threads, from.Threads}, "files": {&l.Files, from.Files},
		"nodes": {&l.Nodes, from.Nodes}, "calls": {&l.Calls, from.Calls},
		"sessions_per_identity": {&l.SessionsPerIdentity, from.SessionsPerIdentity},
		"uploads":               {&l.Uploads, from.Uploads}, "uploads_per_identity": {&l.UploadsPerIdentity, from.UploadsPerIdentity},
	} {
		if p.from != nil {
			*p.to = *p.from
		}
		if *p.to < 0 {
			return fmt.Errorf("[limits] %s is negative; 0 means no limit", key)
		}
	}
	if l.Files > 0 && l.Files < minFiles {
		return fmt.Errorf("[limits] files is below %d, with which no interpreter starts", minFiles)
	}
	if l.Script == 0 || l.Script > maxScript {
		l.Script = maxScript
	}
	c.Limits = l
	return nil
}

// minFiles is what an interpreter needs at its start, and a little.
const minFiles = 32

// maxScript is the largest script that the journal takes, in bytes, whatever the limit.
const maxScript = 16 << 20

// What is kept of ended sessions where the file says nothing: how many, in all and of one identity, and bytes of one identity.
const (
	defaultRetention      = 10_000
	defaultRetentionBytes = 8 << 30
)

func (f *file) checkRetention(c *Config) error {
	r := &c.Retention
	r.Sessions, r.SessionsPerIdentity, r.BytesPerIdentity = defaultRetention, defaultRetention, defaultRetentionBytes
	for key, p := range map[string]struct{ to, from *int }{
		"sessions": {&r.Sessions, f.Retention.Sessions}, "sessions_per_identity": {&r.SessionsPerIdentity, f.Retention.SessionsPerIdentity},
	} {
		if p.from != nil {
			*p.to = *p.from
		}
		if *p.to < 0 {
			return fmt.Errorf("[retention] %s is negative; 0 keeps all", key)
		}
	}
	if f.Retention.BytesPerIdentity != nil {
		r.BytesPerIdentity = f.Retention.BytesPerIdentity.value
	}
	if f.Retention.Age != nil {
		c.Retention.Age = f.Retention.Age.value
	}
	return nil
}

// defaultAuditBytes is how much of the audit log an identity may cause a day where the file says nothing.
const defaultAuditBytes = 256 << 20

func (f *file) checkAudit(c *Config) error {
	dir := f.Audit.LogDir
	if f.Audit.Path != "" {
		if dir != "" && dir != f.Audit.Path {
			return errors.New("[audit] path and log_dir are two names of one key: leave one of them out")
		}
		dir = f.Audit.Path
	}
	c.Audit = Audit{Enabled: true, Dir: dir, Rotation: audit.Daily, MaxFiles: 30, BytesPerIdentity: defaultAuditBytes, Skip: map[string]bool{}}
	if f.Audit.Enabled != nil {
		c.Audit.Enabled = *f.Audit.Enabled
	}
	if f.Audit.Rotation != "" {
		c.Audit.Rotation = f.Audit.Rotation
	}
	if f.Audit.MaxFiles != nil {
		c.Audit.MaxFiles = *f.Audit.MaxFiles
	}
	if f.Audit.BytesPerIdentity != nil {
		c.Audit.BytesPerIdentity = f.Audit.BytesPerIdentity.value
	}
	if !slices.Contains([]string{audit.Daily, audit.AtStart, audit.Never}, c.Audit.Rotation) {
		return fmt.Errorf("[audit] rotation = %q: use daily, session or none", c.Audit.Rotation)
	}
	if c.Audit.MaxFiles < 0 {
		return errors.New("[audit] max_files is negative; 0 keeps all")
	}
	var err error
	if c.Audit.Dir, err = c.fileName(c.Audit.Dir); err != nil {
		return fmt.Errorf("[audit] log_dir: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(f.Audit.Events)) {
		kinds, ok := auditEvents[name]
		if !ok {
			return fmt.Errorf("[audit.events] %q is not known; there are: %s", name, strings.Join(slices.Sorted(maps.Keys(auditEvents)), ", "))
		}
		if len(kinds) == 0 {
			c.warn("[audit.events] %s does nothing: on remote hosts and in files all are operations, which command, approval and execution tell of", name)
		}
		for _, kind := range kinds {
			c.Audit.Skip[kind] = !f.Audit.Events[name]
		}
	}
	if c.Audit.Redact, err = audit.NewRedactor(f.Audit.Redact); err != nil {
		return fmt.Errorf("[audit] redact: %w", err)
	}
	return nil
}

// auditEvents are the names under which kinds of events can be left out of the log.
var auditEvents = map[string][]string{
	"authentication": {audit.Authentication},
	"session":        {audit.Session, audit.Status, audit.Ended},
	"files":          {audit.FilesRead, audit.TransferBegan, audit.Read, audit.TransferEnded},
	"command":        {audit.Operation},
	"approval":       {audit.Decision, audit.Granted, audit.Revoked, audit.Rehearsed},
	"execution":      {audit.Execution, audit.Result},
	// Of the seed project, whose sessions on remote hosts and file writes are operations here.
	"file_write": nil,
	"remote":     nil,
}

// AuditDir is where the audit log is: beside the rest of the state, where the file does not say otherwise.
func (c *Config) AuditDir() string {
	if c.Audit.Dir != "" {
		return c.Audit.Dir
	}
	return filepath.Join(c.State, "audit")
}

// names are those of identities and targets. They are printed, and are words of a command line.
var names = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

func (f *file) checkSSH(c *Config) error {
	c.HostKeys = []hostkeys.Type{hostkeys.Ed25519}
	if f.HostKeys.Types != nil {
		c.HostKeys = nil
		for _, t := range f.HostKeys.Types {
			if !slices.Contains(hostkeys.Types(), hostkeys.Type(t)) {
				return fmt.Errorf("[hostkeys] types: %q is not known; use ed25519, ecdsa or rsa", t)
			}
			if slices.Contains(c.HostKeys, hostkeys.Type(t)) {
				return fmt.Errorf("[hostkeys] types: %q is named twice", t)
			}
			c.HostKeys = append(c.HostKeys, hostkeys.Type(t))
		}
		if len(c.HostKeys) == 0 {
			return errors.New("[hostkeys] types is empty: name ed25519, ecdsa or rsa")
		}
	}
	c.SSH = Algorithms{KeyExchanges: f.SSH.KeyExchanges, Ciphers: f.SSH.Ciphers, MACs: f.SSH.MACs}
	return c.SSH.check()
}

// roles are the roles that a file may name.
func roles() []journal.Role {
	return []journal.Role{journal.Agent, journal.Approver, journal.Admin}
}

// StateOf is the state directory that a file names which does not load. It looks for the one line at the file's top.
// Without one it is DefaultState.
func StateOf(path string) string {
	f, err := os.Open(path) // #nosec G304 -- the operator names it
	if err != nil {
		return DefaultState
	}
	defer func() { _ = f.Close() }()
	text, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return DefaultState
	}
	for line := range strings.SplitSeq(string(text), "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			break // what follows belongs to a table
		}
		var top struct {
			State string `toml:"state"`
		}
		if !strings.HasPrefix(line, "state") || toml.Unmarshal([]byte(line), &top) != nil || top.State == "" {
			continue
		}
		c := &Config{Path: path}
		if absolute, err := filepath.Abs(path); err == nil {
			c.Path = absolute
		}
		if dir, err := c.fileName(top.State); err == nil && c.SetState(dir) == nil {
			return c.State
		}
	}
	return DefaultState
}
