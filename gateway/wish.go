package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	wishlog "charm.land/log/v2"
	"charm.land/ssh"
	"charm.land/wish/v2"
	"charm.land/wish/v2/logging"
	"charm.land/wish/v2/ratelimiter"
	"charm.land/wish/v2/recover"
	"golang.org/x/time/rate"

	"shannot-gateway/gateway/command"
)

// around are the middlewares around all that a client asks for in a channel, the outermost one last: Wish's own, in the terms of
// the gateway. What Wish has beside them does not fit: elapsed and comment write into a script's output, activeterm and
// accesscontrol answer with 1 where the verbs have statuses and words of their own.
func (g *Gateway) around() []wish.Middleware {
	return []wish.Middleware{
		g.present,
		g.connections.rates.keep,
		logged(newWishLog(g.log)),
		exits,
		recover.MiddlewareWithLogger(panics{g.log}),
	}
}

// panics is a log of panics in channels, as Wish wants it.
type panics struct{ to *slog.Logger }

// Printf implements recover.Logger.
func (p panics) Printf(format string, args ...any) {
	p.to.Error("panic in a channel", "panic", fmt.Sprintf(format, args...))
}

// exits gives the client of a handler that panics an exit status: Wish keeps the panic, and would leave the client with 0.
func exits(next ssh.Handler) ssh.Handler {
	return func(s ssh.Session) {
		returned := false
		defer func() {
			if !returned {
				_ = s.Exit(command.ExitFault)
			}
		}()
		next(s)
		returned = true
	}
}

// logged logs the beginning and the end of what is asked for, and by whom.
func logged(to *wishlog.Logger) wish.Middleware {
	return func(next ssh.Handler) ssh.Handler {
		return func(s ssh.Session) {
			who := channelOf(s).member.identity
			logger := to.With("identity", who.Name, "key", who.Fingerprint)
			logging.StructuredMiddlewareWithLogger(logger, wishlog.InfoLevel)(func(ssh.Session) { next(s) })(forLog{s})
		}
	}
}

// forLog is a session as the log is told of it: with the verb of a line alone, since a line may hold secrets, and with short
// names of a user and a terminal.
type forLog struct{ ssh.Session }

// maxLoggedName bounds what a client calls itself in the log, in bytes.
const maxLoggedName = 64

// Command implements ssh.Session.
func (f forLog) Command() []string {
	if name := f.Subsystem(); name != "" {
		return []string{name}
	}
	return []string{command.VerbOf(f.RawCommand())}
}

// User implements ssh.Session.
func (f forLog) User() string {
	name := f.Session.User()
	return name[:min(len(name), maxLoggedName)]
}

// PublicKey implements ssh.Session: nobody gets here without one.
func (f forLog) PublicKey() ssh.PublicKey {
	key, err := ssh.ParsePublicKey([]byte(channelOf(f.Session).member.key))
	if err != nil {
		return nil
	}
	return key
}

// Pty implements ssh.Session.
func (f forLog) Pty() (ssh.Pty, <-chan ssh.Window, bool) {
	pty, sizes, is := f.Session.Pty()
	pty.Term = printable(pty.Term)
	return pty, sizes, is
}

// newWishLog is a log as Wish's middlewares want it. All that they say goes to the gateway's own.
func newWishLog(to *slog.Logger) *wishlog.Logger {
	return wishlog.NewWithOptions(passedOn{to}, wishlog.Options{Formatter: wishlog.JSONFormatter, Level: wishlog.DebugLevel})
}

// passedOn takes lines of JSON, one a write, and logs what is in them.
type passedOn struct{ to *slog.Logger }

// Write implements io.Writer.
func (p passedOn) Write(line []byte) (int, error) {
	var names struct {
		Level string `json:"level"`
		Msg   string `json:"msg"`
	}
	err := json.Unmarshal(line, &names)
	var attrs []slog.Attr
	if err == nil {
		attrs, err = attributes(line)
	}
	if err != nil {
		return 0, fmt.Errorf("read a line of Wish's log: %w", err)
	}
	level := slog.LevelError // also for one that slog does not know
	_ = level.UnmarshalText([]byte(names.Level))
	p.to.LogAttrs(context.Background(), level, names.Msg, attrs...)
	return len(line), nil
}

// attributes are what a line of JSON says beside its level and message, in its order.
func attributes(line []byte) (attrs []slog.Attr, err error) {
	decoder := json.NewDecoder(bytes.NewReader(line))
	if _, err := decoder.Token(); err != nil { // the brace
		return nil, err
	}
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		var value any
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		if list, ok := value.([]any); ok {
			var words []string
			for _, word := range list {
				words = append(words, fmt.Sprint(word))
			}
			value = strings.Join(words, " ")
		}
		if text, ok := value.(string); ok && key == "duration" {
			if took, err := time.ParseDuration(text); err == nil {
				value = took
			}
		}
		if key != wishlog.LevelKey && key != wishlog.MessageKey {
			attrs = append(attrs, slog.Any(fmt.Sprint(key), value))
		}
	}
	return attrs, nil
}

// busySession is a session that is refused with the status for that, whatever Wish would give.
type busySession struct{ ssh.Session }

// Exit implements ssh.Session.
func (b busySession) Exit(int) error { return b.Session.Exit(command.ExitBusy) }

// rateBurst is for how many seconds' worth of commands an identity that was quiet may ask at once.
const rateBurst = 10

// rates are how often identities may still ask for something. There are as many as the configurations have named.
type rates struct {
	perSecond func() int // connections.rate, as it is now
	now       func() time.Time

	mu  sync.Mutex
	all map[string]*rate.Limiter
}

// keep refuses what an identity asks for more often than it may.
func (r *rates) keep(next ssh.Handler) ssh.Handler {
	return func(s ssh.Session) {
		ratelimiter.Middleware(r)(func(ssh.Session) { next(s) })(busySession{s})
	}
}

// Allow implements ratelimiter.RateLimiter. Who asks is known by their key, not by an address that others may share.
func (r *rates) Allow(s ssh.Session) error {
	limit := r.perSecond()
	if !r.take(channelOf(s).member.identity.Name, limit) {
		return tooOften(limit)
	}
	return nil
}

// tooOften is the refusal of a command, for so many a second. Wish prints its text as it is.
type tooOften int

// Error implements error.
func (t tooOften) Error() string {
	return fmt.Sprintf("shannot: busy: more than %d commands a second (connections.rate); nothing was started, try again later\n", int(t))
}

// take counts one more command of an identity, and reports whether it may be.
func (r *rates) take(identity string, limit int) bool {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.all[identity]
	if l == nil {
		l = rate.NewLimiter(rate.Limit(limit), rateBurst*limit)
		r.all[identity] = l
	}
	if l.Burst() != rateBurst*limit {
		l.SetLimitAt(now, rate.Limit(limit))
		l.SetBurstAt(now, rateBurst*limit)
	}
	return l.AllowN(now, 1)
}
