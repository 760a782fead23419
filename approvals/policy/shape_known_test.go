package policy

import "testing"

// The two lists contradict each other nowhere.
func TestWhatMayVaryRunsNoOthers(t *testing.T) {
	for name := range varied {
		if RunsOthers(name) || runsOthersOfAnyEdition(name) {
			t.Errorf("%s may vary, and runs what is in its words", name)
		}
	}
}
