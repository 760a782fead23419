package command

// whoamiJSON is the answer of whoami.
type whoamiJSON struct {
	V        int      `json:"v"`
	Identity string   `json:"identity"`
	Role     string   `json:"role"`
	Key      string   `json:"key"`     // fingerprint
	Targets  []string `json:"targets"` // that the identity may use
}

// versionJSON is the answer of version.
type versionJSON struct {
	V       int    `json:"v"`
	Version string `json:"version"`
}

// verdictJSON is what policy answers on a command.
type verdictJSON struct {
	V       int    `json:"v"`
	Target  string `json:"target"`
	Command string `json:"command"` // as it was sent
	Verdict string `json:"verdict"`
	Risk    string `json:"risk"`
	Reason  string `json:"reason"`           // rendered
	Effect  string `json:"effect,omitempty"` // the same
	Undo    string `json:"undo,omitempty"`
	// Grants are the numbers of those that let it run all the same.
	Grants []int `json:"grants"`
}

// rulesJSON is what policy answers where no command is asked about.
type rulesJSON struct {
	V           int      `json:"v"`
	Target      string   `json:"target"`
	AutoApprove []string `json:"auto_approve"`
	Packs       []string `json:"packs"`
	Programs    []string `json:"programs"` // names of rows of the operator's own
	AlwaysDeny  []string `json:"always_deny"`
	// Files that a script sees, and does not; patterns. Scratch is private to a session.
	Read    []string `json:"read"`
	Hide    []string `json:"hide"`
	Scratch []string `json:"scratch"`
}

// helpJSON is the answer of help, for programs.
type helpJSON struct {
	V     int        `json:"v"`
	Role  string     `json:"role"`
	Text  string     `json:"text"` // what help says to people
	Verbs []verbJSON `json:"verbs"`
	Exits []exitJSON `json:"exit_statuses"`
}

// verbJSON is a verb.
type verbJSON struct {
	Verb    string     `json:"verb"`
	Use     string     `json:"use"` // how its line looks
	Short   string     `json:"short"`
	Long    string     `json:"long"`
	Example string     `json:"example"` // a line each
	Roles   []string   `json:"roles"`   // that may use it
	Flags   []flagJSON `json:"flags"`
}

// flagJSON is a flag of a verb.
type flagJSON struct {
	Flag  string `json:"flag"`             // without dashes
	Short string `json:"letter,omitempty"` // the same
	Value string `json:"value,omitempty"`  // what its value is called; left out where it has none
	Usage string `json:"usage"`            // what it does, and its default
}

// exitJSON is an exit status of verbs.
type exitJSON struct {
	Status  int    `json:"status"`
	Meaning string `json:"meaning"`
}
