package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	gossh "golang.org/x/crypto/ssh"

	"shannot-gateway/approvals/audit"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
	"shannot-gateway/approvals/store"
	"shannot-gateway/gateway/config"
	"shannot-gateway/hostkeys"
)

// auditCommand is `audit verify` and `audit accept`.
func (p *program) auditCommand() *cobra.Command {
	return group("audit COMMAND", "look into the audit log", "Verifies the audit log, and accepts what was found in it.", p.auditVerifyCommand(), p.auditAcceptCommand())
}

// auditVerifyCommand is `audit verify [--config FILE] [--state DIR]`, and `audit verify --dir DIR --host-key …` for a copy.
func (p *program) auditVerifyCommand() *cobra.Command {
	var where place
	var keys []string
	dir := ""
	cmd := &cobra.Command{
		Use:   "verify [--config FILE] [--state DIR] | --dir DIR --host-key FILE|SHA256:...",
		Short: "name what in the audit log is not as it was written",
		Long: `Names what in the audit log is not as the gateway wrote it; then the exit status is 1. The gateway may be running. A copy of ` +
			`the log on another host needs the gateway's public host key alone.`,
		Example: `shannot-gateway audit verify
shannot-gateway audit verify --dir COPY --host-key ssh_host_ed25519_key.pub`,
	}
	where.flags(cmd)
	cmd.Flags().StringVar(&dir, "dir", "", "verify a copy of the log in the directory `DIR`")
	cmd.Flags().Func("host-key", "the gateway's public host key: a `FILE`, or SHA256:…; instead of those in the state directory", func(value string) error {
		more, err := namedKeys(value)
		keys = append(keys, more...)
		return err
	})
	_ = cmd.MarkFlagDirname("dir")
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		if dir != "" && (len(keys) == 0 || cmd.Flags().Changed("config") || cmd.Flags().Changed("state")) {
			return errors.New("--dir is for a copy of the log: give the gateway's public key with --host-key, and no --config or --state")
		}
		return nil
	}
	return p.does(cmd, func(context.Context, []string) int {
		if dir != "" {
			return p.verified(audit.Verify(dir, audit.Check{Keys: keys}))
		}
		return p.auditVerify(where, keys)
	})
}

// auditVerify says whether the audit log is the one that the gateway wrote. The gateway may be running.
func (p *program) auditVerify(where place, keys []string) int {
	c, err := loadConfig(where.config, "", where.state)
	if err != nil {
		return p.fail(err)
	}
	v, err := verifyLog(c, keys)
	return p.verified(v, err)
}

// verified prints what a verification found.
func (p *program) verified(v *audit.Verification, err error) int {
	if err != nil {
		return p.fail(err)
	}
	for _, note := range v.Notes {
		p.say("note: %s", note)
	}
	for _, finding := range v.Accepted {
		p.say("accepted: %s", finding)
	}
	for _, finding := range v.Findings {
		p.say("%s", finding)
	}
	if v.Unsigned > 0 {
		p.say("%d lines at the end are not signed yet: the gateway writes them, or was killed", v.Unsigned)
	}
	if v.Cut > 0 {
		p.say("the last line is not whole, %d bytes: the gateway writes it, or was killed", v.Cut)
	}
	p.say("%s", v.Summary())
	if len(v.Findings) > 0 {
		return exitFailure
	}
	return exitOK
}

// say prints a line in which others' words may stand.
func (p *program) say(format string, args ...any) {
	_, _ = fmt.Fprintln(p.stdout, render.Line(fmt.Sprintf(format, args...)))
}

// verifyLog verifies a gateway's own log, with its own keys where no others are named.
func verifyLog(c *config.Config, keys []string) (*audit.Verification, error) {
	if len(keys) == 0 {
		own, err := signersOf(c)
		if err != nil {
			return nil, err
		}
		keys = fingerprints(own)
	}
	check := audit.Check{Keys: keys}
	running, name := false, filepath.Join(c.State, databaseFile)
	var err error
	switch check.Anchor, err = store.Anchor(name); {
	case errors.Is(err, store.ErrInUse):
		running = true
		check.Anchor = &journal.Anchor{} // there must be a log, whatever is in it
	case err != nil:
		return nil, err
	default:
		if check.Lists, err = store.ReadLists(name); err != nil {
			return nil, err
		}
	}
	v, err := audit.Verify(c.AuditDir(), check)
	if err != nil {
		return nil, err
	}
	if running {
		v.Notes = append(v.Notes, "a gateway is running and has its journal open: it compares the log with what it has written itself; see its status")
		if c.Audit.Enabled && v.Files == 0 && len(v.Findings) == 0 {
			v.Findings = append(v.Findings, "the log is gone, and a gateway is running")
		}
	}
	return v, nil
}

// namedKeys reads what --host-key names: a fingerprint, or a file of public keys, as in a .pub file or known_hosts.
func namedKeys(value string) ([]string, error) {
	if strings.HasPrefix(value, "SHA256:") {
		return []string{value}, nil
	}
	text, err := os.ReadFile(value) // #nosec G304 -- the operator names it
	if err != nil {
		return nil, err
	}
	var keys []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		key, err := publicKey(line)
		if err != nil {
			return nil, fmt.Errorf("%s: %q is no public key", value, line)
		}
		keys = append(keys, gossh.FingerprintSHA256(key))
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s: there is no key in it", value)
	}
	return keys, nil
}

func publicKey(line string) (gossh.PublicKey, error) {
	if _, _, key, _, _, err := gossh.ParseKnownHosts([]byte(line)); err == nil {
		return key, nil
	}
	key, _, _, _, err := gossh.ParseAuthorizedKey([]byte(line))
	return key, err
}

// auditAcceptCommand is `audit accept --reason TEXT [--config FILE] [--state DIR]`.
func (p *program) auditAcceptCommand() *cobra.Command {
	var where place
	reason := ""
	cmd := &cobra.Command{
		Use:   "accept --reason TEXT [--config FILE] [--state DIR]",
		Short: "say that what verify finds may stand",
		Long: `Says that what verify finds may stand: an operator has looked into it, and signs that with the host key. The gateway must ` +
			`not be running.`,
		Example: `shannot-gateway audit accept --reason 'the disk was restored from Monday'`,
	}
	where.flags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why the findings may stand: `TEXT`")
	cmd.PreRunE = func(*cobra.Command, []string) error {
		if reason == "" || len(reason) > maxReason {
			return fmt.Errorf("say why with --reason TEXT, in at most %d bytes", maxReason)
		}
		return nil
	}
	return p.does(cmd, func(context.Context, []string) int { return p.auditAccept(where, reason) })
}

// auditAccept is for an operator who has looked into what verify finds: it signs with the host key that it may stand. The
// gateway must not be running.
func (p *program) auditAccept(where place, reason string) int {
	c, err := loadConfig(where.config, "", where.state)
	if err != nil {
		return p.fail(err)
	}
	log := newLog(p.stderr)
	if err := checkModes(c, log); err != nil {
		return p.fail(err)
	}
	own, err := signersOf(c)
	if err == nil && len(own) == 0 {
		err = errors.New("there is no host key, so no log that it signed")
	}
	if err != nil {
		return p.fail(err)
	}
	key := own[0]
	for _, k := range own { // the one that serve signs with
		if len(c.HostKeys) > 0 && k.Type == c.HostKeys[0] && !hostkeys.IsRetired(k) {
			key = k
			break
		}
	}
	l, keys, err := openLog(c, key, log)
	if err != nil {
		return p.fail(err)
	}
	defer func() { _ = l.Close() }()
	end := l.End()
	lists, err := store.ReadLists(filepath.Join(c.State, databaseFile))
	if err != nil {
		return p.fail(err)
	}
	v, err := audit.Verify(c.AuditDir(), audit.Check{Keys: keys, Anchor: &end, Lists: lists})
	if err != nil {
		return p.fail(err)
	}
	if len(v.Findings) == 0 {
		p.say("nothing is found that would have to be accepted")
		return exitOK
	}
	if len(v.Findings) > audit.MaxAccepted {
		return p.fail(fmt.Errorf("more than %d findings are too many to be looked at: move %s away, for who looks into it, and accept that loss",
			audit.MaxAccepted, c.AuditDir()))
	}
	if err := l.Accept(v.Findings, operator(), render.Line(reason).String()); err != nil {
		return p.fail(err)
	}
	// From here on the journal compares with the log as it was accepted.
	name := filepath.Join(c.State, databaseFile)
	if err := store.SetAnchor(name, l.End()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return p.fail(err)
	}
	for _, finding := range v.Findings {
		p.say("accepted: %s", finding)
	}
	return exitOK
}

// maxReason bounds an operator's reason, in bytes.
const maxReason = 1000

// operator is the name of who runs this process.
func operator() string {
	if u, err := user.Current(); err == nil {
		return render.Line(u.Username).String()
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

// openLog opens the audit log of a gateway that signs with key. It returns the fingerprints that the log may be signed with.
func openLog(c *config.Config, key hostkeys.Key, log *slog.Logger) (*audit.Log, []string, error) {
	own, err := signersOf(c)
	if err != nil {
		return nil, nil, err
	}
	anchor, err := store.Anchor(filepath.Join(c.State, databaseFile))
	if err != nil {
		return nil, nil, err
	}
	o := audit.Options{
		Dir: c.AuditDir(), Rotation: c.Audit.Rotation, MaxFiles: c.Audit.MaxFiles, BytesEach: c.Audit.BytesPerIdentity, Signer: key.Signer, Anchor: anchor,
		Redact: c.Audit.Redact, Skip: c.Audit.Skip, Log: log,
	}
	for _, k := range own {
		o.Former = append(o.Former, k.Signer)
	}
	l, err := audit.Open(o)
	return l, fingerprints(own), err
}

// signersOf are the keys that a gateway's log may be signed with: its host keys, and those that it had before.
func signersOf(c *config.Config) ([]hostkeys.Key, error) {
	dir := filepath.Join(c.State, hostKeyFolder)
	keys, err := hostkeys.Existing(dir)
	if err != nil {
		return nil, err
	}
	retired, err := hostkeys.Retired(dir)
	return append(keys, retired...), err
}

func fingerprints(keys []hostkeys.Key) (out []string) {
	for _, k := range keys {
		out = append(out, k.Fingerprint())
	}
	return out
}
