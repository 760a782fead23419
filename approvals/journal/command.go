package journal

// Command is everything about a command that a human is shown and that the digest covers. It is stored when the
// Operation is created, and exactly it is run.
type Command struct {
	Target string
	RunAs  string  // user name on the target
	Path   string  // executable as resolved on the target
	Argv   Strings // for shell text: the shell, "-c", the text
	Dir    string
	// Env is the whole environment of the command, KEY=VALUE sorted; EnvChanges is how it differs from the
	// environment that the session began with: "KEY=VALUE" added or changed, "-KEY" removed.
	Env        Strings
	EnvChanges Strings
	// Input says where standard input comes from: "none", "data" (known: InputData), "file", "stream".
	Input       string
	InputData   []byte `json:",omitempty"`
	InputSHA256 string `json:",omitempty"` // hex, of InputData
	// Before holds the digests of the changes of files that are made before the command, in order.
	Before []string `json:",omitempty"`
	// Needs are the numbers of those operations. They are decided with the command. Not in the digest.
	Needs []int `json:",omitempty"`
	// Scratch are the files of the session's scratch that the command names. They are put on the target before it
	// starts, where nothing may be, and are removed with the session's end.
	Scratch []File `json:",omitempty"`
	// Line is the script's line that asked, by the script's own word; 0 where not known. Not in the digest.
	Line int
}

// Where a command's standard input comes from: the values of Command.Input.
const (
	InputNone   = "none"
	InputData   = "data"
	InputFile   = "file"
	InputStream = "stream"
)

// Footprint is about what the command takes in the journal, in bytes.
func (c *Command) Footprint() int {
	n := len(c.Path) + len(c.Dir) + len(c.InputData)
	for _, list := range []Strings{c.Argv, c.Env, c.EnvChanges} {
		for _, s := range list {
			n += len(s) + 8
		}
	}
	n += 80 * len(c.Before)
	for i := range c.Scratch {
		n += c.Scratch[i].Footprint()
	}
	return n
}

// Intact reports whether the record is the one of that digest.
func (o *Operation) Intact(digest string) bool {
	if o.File != nil {
		return o.Command == nil && o.File.Digest() == digest
	}
	return o.Command.Intact(digest)
}

// Intact reports whether the record, its input included, is the one of that digest.
func (c *Command) Intact(digest string) bool {
	return c != nil && c.Digest() == digest && (c.Input != InputData || SHA256Hex(c.InputData) == c.InputSHA256)
}
