package policy

// MaxWork is the budget of a judgement, in steps, and MaxValue the length of a value that is followed.
const (
	MaxWork  = maxWork
	MaxValue = maxValue
)

// CostOfShell judges, and returns the steps and bytes that it took off the budget.
func (j *Judge) CostOfShell(text string, ctx Context) (d Decision, steps, bytes int) {
	b := newBudget()
	d = j.shellWithin(b, text, ctx)
	return d, maxWork - b.work, maxBytes - b.bytes
}
