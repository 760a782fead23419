// Package policy decides on commands: allow, ask or deny. It judges argv, or shell text as the shell would parse it, never a
// prefix of a string. What is not certain is ask. It knows its own table of programs, the configuration's rows, and the
// patterns of hidden files. It must never run or look up anything. Begin with Judge in judge.go; shell.go reads shell text,
// row.go and table.toml say what programs do. docs/policy.md is the user's side of it.
package policy

// Verdict is what the policy says of a command.
type Verdict string

// Verdicts.
const (
	Allow Verdict = "allow"
	Ask   Verdict = "ask"
	Deny  Verdict = "deny"
)

// Risk is how much harm a command may do.
type Risk string

// Risks.
const (
	Safe    Risk = "safe"
	Caution Risk = "caution"
	Danger  Risk = "danger"
	Unknown Risk = "unknown"
)

// Decision is a verdict with its risk and a one-line reason that names the word that decided.
type Decision struct {
	Verdict Verdict
	Risk    Risk
	Reason  string
	// Effect says what a command that asks would do, in a sentence with its operands; "" where the policy knows nothing of
	// it. Undo says whether that can be undone: it begins with "no", "yes: " or "partly: ". Both are rendered.
	Effect, Undo string
}
