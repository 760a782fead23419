package gateway

import (
	"testing"

	"shannot-gateway/approvals/journal"
	"shannot-gateway/sandbox/shell"
)

// TestJournalKnowsTheEngineOfTexts: the journal may not import the engine whose sessions have a rest that can be approved.
func TestJournalKnowsTheEngineOfTexts(t *testing.T) {
	if journal.TextEngine != shell.EngineName {
		t.Errorf("the journal calls it %q, the engine %q", journal.TextEngine, shell.EngineName)
	}
}
