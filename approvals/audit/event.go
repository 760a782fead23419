package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Kinds of events: the values of Event.Event.
const (
	Start          = "start" // the gateway: its version and configuration
	Stop           = "stop"
	Reload         = "reload"         // it took up a changed configuration
	ReloadRefused  = "reload_refused" // it was told to, and kept the one before
	Authentication = "authentication"
	Session        = "session"   // it began
	Operation      = "operation" // it was asked for, and the policy's verdict
	Decision       = "decision"
	Execution      = "execution" // it starts to take effect
	Result         = "result"
	Status         = "status" // a session is held, parked or goes on
	Ended          = "ended"
	Rollback       = "rollback"
	FilesRead      = "files_read"  // which files a script has opened: a digest of the list
	TransferBegan  = "transfer"    // a client begins to read over SFTP
	Read           = "read"        // it opened a file, or was refused
	TransferEnded  = "transferred" // it has left
	Granted        = "granted"     // an approver made a standing answer
	Revoked        = "revoked"     // and somebody took it back
	Rehearsed      = "rehearsed"   // an approver has waiting commands tried in a copy of their host
	// Of the log itself.
	Segment   = "segment"   // the first line of every file
	Recovered = "recovered" // a line that a crash cut was removed
	Broken    = "broken"    // the log was found to be other than its signed head says
	Removed   = "removed"   // files that max_files does not keep
	Lost      = "lost"      // events that could not be written
	Resumed   = "resumed"   // the log can be written again
	HostKey   = "hostkey"   // another host key signs from here on; the former one signs this line
	Accepted  = "accepted"  // an operator has seen findings, and signs that they may stand
)

// Event is what a line tells. Its texts are other people's words. JSON keeps them in their place, and whoever shows them
// renders them.
type Event struct {
	Event string `json:"event"`

	Session   string `json:"session,omitempty"`
	Operation int    `json:"operation,omitempty"`

	// Who asked, decided or connected.
	Identity string `json:"identity,omitempty"`
	Role     string `json:"role,omitempty"`
	Key      string `json:"key,omitempty"` // SHA256:… of the public key
	Address  string `json:"address,omitempty"`
	OK       *bool  `json:"ok,omitempty"` // of an authentication

	Target       string `json:"target,omitempty"`
	Engine       string `json:"engine,omitempty"`
	Name         string `json:"name,omitempty"`
	Analysis     string `json:"analysis,omitempty"`
	ScriptSHA256 string `json:"script_sha256,omitempty"`
	Plan         bool   `json:"plan,omitempty"`

	Kind    string   `json:"kind,omitempty"`
	Summary string   `json:"summary,omitempty"`
	Path    string   `json:"path,omitempty"`
	Dir     string   `json:"dir,omitempty"`
	RunAs   string   `json:"run_as,omitempty"`
	Env     []string `json:"env,omitempty"` // names of variables that differ from the session's
	Digest  string   `json:"digest,omitempty"`
	Verdict string   `json:"verdict,omitempty"`
	Risk    string   `json:"risk,omitempty"`
	Why     string   `json:"why,omitempty"`

	Decision string `json:"decision,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Status   string `json:"status,omitempty"`
	ExitCode *int   `json:"exit_code,omitempty"`
	Signal   int    `json:"signal,omitempty"`
	Cut      bool   `json:"output_cut,omitempty"`

	Version      string `json:"version,omitempty"`
	Config       string `json:"config,omitempty"`
	ConfigSHA256 string `json:"config_sha256,omitempty"`

	Files []string `json:"files,omitempty"`
	Count uint64   `json:"count,omitempty"` // bytes, lines or events, as the kind of event has it
	Hash  string   `json:"hash,omitempty"`
	More  uint64   `json:"more,omitempty"`
	Part  int      `json:"part,omitempty"` // of so many lines, which are about one thing
	Parts int      `json:"parts,omitempty"`

	// Of a line that is signed by itself, whatever signs the head: public keys as in authorized_keys, and the signature.
	NewKey   string `json:"new_key,omitempty"` // that signs from here on
	SignedBy string `json:"signed_by,omitempty"`
	Format   string `json:"format,omitempty"`
	Sig      []byte `json:"sig,omitempty"`
	// The same of the key that takes over.
	NewFormat string `json:"new_format,omitempty"`
	NewSig    []byte `json:"new_sig,omitempty"`

	signer Signer // signs the line in its place, nil for most
	next   Signer // takes over, and signs it too

	at    time.Time // when it was, for one that waited
	owner string    // the identity that caused it, whose share of the log it is; "" for nobody
}

// line is an event in its place: Prev is the SHA-256 of the line before, its newline left out.
type line struct {
	Seq  uint64 `json:"seq"`
	At   string `json:"at"`
	Prev string `json:"prev"`
	Event
}

// maxLine bounds a line, in bytes with its newline.
const maxLine = 16 << 10

// maxSeq is beyond the number of any line. What claims to be further is no line of a log.
const maxSeq = 1 << 53

// maxText is where the texts of an event are cut at first, in bytes. The digest stands for the whole.
const maxText = 4 << 10

// maxNames bounds the lists of an event.
const maxNames = 100

// genesis is what the first line of all names as the one before it.
var genesis = strings.Repeat("0", 2*sha256.Size)

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// encode makes the line of an event, without its newline.
func encode(seq uint64, at time.Time, prev string, e Event) ([]byte, error) {
	l := line{Seq: seq, At: at.UTC().Format(time.RFC3339Nano), Prev: prev}
	for limit := maxText; limit > 0; limit /= 2 {
		l.Event = e.cut(limit)
		var out bytes.Buffer
		encoder := json.NewEncoder(&out)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(l); err != nil {
			return nil, err
		}
		if out.Len() <= maxLine {
			return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
		}
	}
	return nil, fmt.Errorf("an event of kind %q does not fit into a line", e.Event)
}

// cut returns the event with every text at most so long.
func (e Event) cut(limit int) Event {
	for _, s := range e.texts() {
		*s = shorten(*s, limit)
	}
	e.Env, e.Files = shortList(e.Env, limit), shortList(e.Files, limit)
	return e
}

// texts points at the texts that may be of any length, or hold a secret.
func (e *Event) texts() []*string {
	return []*string{
		&e.Session, &e.Identity, &e.Address, &e.Target, &e.Engine, &e.Name, &e.Analysis, &e.Summary, &e.Path, &e.Dir, &e.RunAs,
		&e.Why, &e.Reason, &e.Config, &e.Key, &e.Version,
	}
}

func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	cut := s[:limit]
	for len(cut) > 0 && !utf8.ValidString(cut[max(0, len(cut)-utf8.UTFMax):]) && !utf8.RuneStart(s[len(cut)]) {
		cut = cut[:len(cut)-1]
	}
	return fmt.Sprintf("%s… (%d bytes in all)", cut, len(s))
}

func shortList(list []string, limit int) []string {
	var out []string
	for i, s := range list {
		if i == min(maxNames, limit) {
			return append(out, fmt.Sprintf("… (%d in all)", len(list)))
		}
		out = append(out, shorten(s, max(1, limit/maxNames)))
	}
	return out
}
