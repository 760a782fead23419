package gateway

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"strings"
	"syscall"
	"time"

	"charm.land/ssh"

	"shannot-gateway/approvals"
	"shannot-gateway/approvals/change"
	"shannot-gateway/approvals/gate"
	"shannot-gateway/approvals/journal"
	"shannot-gateway/approvals/render"
	"shannot-gateway/gateway/command"
	"shannot-gateway/gateway/relay"
	"shannot-gateway/targets"
	"shannot-gateway/vfs"
)

// sftpSubsystem is the one subsystem that is served.
const sftpSubsystem = "sftp"

// relay serves SFTP on a channel: to whoever may run scripts, the files that their scripts would see.
func (g *Gateway) relay(s ssh.Session) {
	_ = s.Exit(g.files(channelOf(s), s, func(ctx context.Context, o relay.Options) (bool, error) { return true, relay.Serve(ctx, s, o) }))
}

// exitCopy is scp's own exit status where something was not copied.
const exitCopy = 1

// copied serves scp's old protocol where a command line asks for that.
func (g *Gateway) copied(ctx *channelContext, s ssh.Session) (status int, ok bool) {
	if command.IsRsync(s.RawCommand()) {
		_, _ = io.WriteString(s.Stderr(), "shannot: rsync needs its own program on both sides, which is not run here; use sftp, scp or sshfs: paths begin with /TARGET\n")
		return command.ExitUsage, true
	}
	words, ok := command.CopyWords(s.RawCommand())
	if !ok {
		return 0, false
	}
	copied, ok := relay.ParseCopy(words)
	if !ok {
		return 0, false
	}
	return g.files(ctx, s, func(ctx context.Context, o relay.Options) (bool, error) {
		return relay.ServeCopy(ctx, s, o, copied)
	}), true
}

func (g *Gateway) files(ctx *channelContext, s ssh.Session, serve func(context.Context, relay.Options) (bool, error)) int {
	now, member := ctx.now, ctx.who
	who := member.identity
	g.log.Info("files", "identity", who.Name, "key", who.Fingerprint, "address", s.RemoteAddr().String())
	if who.Role != journal.Agent && who.Role != journal.Admin {
		_, _ = fmt.Fprintf(s.Stderr(), "shannot: %s is no agent and may not read files\n", who.Name)
		return command.ExitNotPermitted
	}
	done, err := g.transfer(ctx, s, who.Name, now.Config.Connections.Transfers)
	if err != nil {
		return command.ExitFault // the client is gone
	}
	defer done()
	transfer := newTransfer()
	opened := func(context.Context, string, string, string, error) error { return nil }
	if err := g.auditShare(who.Name); err != nil {
		_, _ = fmt.Fprintf(s.Stderr(), "shannot: busy: %v\n", err)
		return command.ExitBusy
	}
	if g.options.Audit != nil {
		record, err := g.options.Audit.Transfer(transfer, who, hostOf(s.RemoteAddr()))
		if err != nil {
			_, _ = fmt.Fprintf(s.Stderr(), "shannot: %s\n", render.Line(err.Error()))
			return command.ExitFault
		}
		defer record.End()
		opened = func(ctx context.Context, target, asked, path string, refused error) error {
			if err := g.auditShare(who.Name); err != nil {
				return fmt.Errorf("%w: %w", syscall.EAGAIN, err)
			}
			return record.Read(ctx, target, asked, path, refused)
		}
	}
	options := relay.Options{
		Opened:     opened,
		Policy:     func(target string) *vfs.Policy { return now.runner.policies[target] },
		Ask:        func(ctx context.Context, c relay.Change) error { return now.runner.change(ctx, who, c) },
		Changeable: now.runner.changeable, Scratch: now.Config.Files.Scratch,
		Upload: func() (func(), bool) {
			limits := g.settings.Load().Config.Limits
			return g.uploads.take(who.Name, limits.UploadsPerIdentity, limits.Uploads)
		},
		File: func() (func(), bool) {
			each, all := openFiles(descriptors())
			return g.reading.take(who.Name, each, all)
		},
		MaxFile: now.Config.Limits.Write, Notices: s.Stderr(), Log: g.log,
	}
	for _, t := range now.Targets {
		if slices.Contains(member.targets, t.Name()) {
			t, done := targets.For(t, who.Name, transfer)
			defer done()
			options.Targets = append(options.Targets, t)
		}
	}
	shown, stop := g.whileShown(ctx, now, member)
	defer stop()
	unhook := context.AfterFunc(shown, func() { // a client may be long in taking what it has asked for
		_, _ = fmt.Fprintln(s.Stderr(), "shannot: what you may see has changed in the configuration: connect again")
		_ = s.Close()
	})
	defer unhook()
	ok, err := serve(shown, options)
	switch {
	case err != nil:
		g.log.Debug("files", "identity", who.Name, "error", err)
		return command.ExitFault
	case !ok:
		return exitCopy
	}
	return command.ExitOK
}

// transferTold is how long a client waits for its turn to read files before it is told why.
const transferTold = time.Second

// transfer waits for an identity's turn to read and copy files in a channel. Each channel holds files open, and data that
// its client has asked for and does not read.
func (g *Gateway) transfer(ctx context.Context, s ssh.Session, identity string, most int) (done func(), err error) {
	tell := time.AfterFunc(transferTold, func() {
		_, _ = fmt.Fprintf(s.Stderr(), "shannot: waits for its turn: files are read and copied in %d channels of yours (connections.transfers)\n", most)
	})
	defer tell.Stop()
	return g.transfers.Take(ctx, identity, most)
}

// maxOpenFiles is how many files an identity may have open over SFTP.
const maxOpenFiles = 1024

// openFiles is how many files an identity may have open over SFTP, and all identities together. They come out of the
// descriptors that the process may have, which connections and sessions need too.
func openFiles(descriptors uint64) (each, all int) {
	if descriptors == 0 {
		return maxOpenFiles, 0
	}
	each = int(max(1, min(maxOpenFiles, descriptors/8))) // #nosec G115 -- at most maxOpenFiles
	return each, int(max(1, min(1<<20, descriptors/4)))  // #nosec G115 -- at most 1<<20
}

// newTransfer is an id for what one client reads over SFTP: there is no session of it. Logins on targets bear it.
func newTransfer() string { return "sftp-" + strings.ToLower(rand.Text()[:8]) }

// changeable says why a path of a target cannot be changed over SFTP, whoever approves it. The error's text is rendered.
func (r *runner) changeable(target targets.Target, path string) error {
	if _, ok := target.(targets.FileTarget); !ok || r.options.Blobs == nil {
		return fmt.Errorf("files of %s cannot be changed: %w", target.Name(), syscall.EROFS)
	}
	shown := r.policies[target.Name()]
	if why := change.DeniedPath(path, func(path string) bool { return shown.Decide(path) != vfs.Visible }); why != "" {
		return fmt.Errorf("%w: %s", syscall.EACCES, why)
	}
	return nil
}

// change makes a session of one change over SFTP and brings it to its end: it waits for a human, and the change is made
// or not. The session ends with its client. It cannot be parked, for nothing would make the change again.
func (r *runner) change(ctx context.Context, who journal.Identity, c relay.Change) error {
	r, err := r.latest(who, c.Target.Name())
	if err != nil {
		return fmt.Errorf("%w: %w", syscall.EACCES, err)
	}
	live, err := r.sessions.Begin(ctx, approvals.Request{
		Identity: who, Target: c.Target, Engine: sftpSubsystem, Script: c.Summary, Name: c.Summary, Interactive: true,
		Queued: c.Queued,
	})
	if err != nil {
		return err
	}
	defer r.sessions.Attend(ctx, live.ID())()
	s := &session{runner: r, live: live, request: approvals.Request{Target: live.Target()}}
	s.end(func() gate.Outcome {
		_ = live.Source(c.Base)
		shown := r.policies[c.Target.Name()]
		live.SetFiles(c.View, func(path string) bool { return shown.Decide(path) != vfs.Visible })
		c.Told(live.ID())
		return s.finish(live.Context(), gate.Outcome{Status: journal.StatusDone})
	})
	return r.outcomeOf(who, live.ID())
}

// outcomeOf says why a session of one change did not make it, nil where it did.
func (r *runner) outcomeOf(who journal.Identity, id string) error {
	ended, err := r.sessions.Session(who, id)
	if err != nil {
		return err
	}
	made := &notMadeError{syscall.EACCES, ended.Reason}
	if made.reason == "" {
		made.reason = "nobody approved it"
	}
	switch {
	case ended.Status == journal.StatusDone:
		return nil
	case ended.ExitCode != nil && *ended.ExitCode == journal.ExitConflict && slices.ContainsFunc(ended.Operations, conflicted):
		made.errno = syscall.EBUSY
	case ended.Status == journal.StatusFailed:
		made.errno = syscall.EIO
	}
	return made
}

func conflicted(o journal.Operation) bool { return o.Decision == journal.Conflicted }

// notMadeError says why a change was not made. The error's number is what the protocol makes of it, and no second reason.
type notMadeError struct {
	errno  syscall.Errno
	reason string
}

// Error is the reason.
func (e *notMadeError) Error() string { return e.reason }

// Unwrap gives the number.
func (e *notMadeError) Unwrap() error { return e.errno }
