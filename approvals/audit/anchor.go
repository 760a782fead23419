package audit

import (
	"fmt"

	"shannot-gateway/approvals/journal"
)

// differs says how a log differs from the one that the journal knows, "" where it does not. The log ends at line end.
// known is the hash that the log has for the line that the journal knows, "" where the log does not have that line.
//
// A log that begins after that line is no finding: max_files may have removed its file since the journal was written, and
// whoever puts an older log there puts one that ends before it.
func differs(a journal.Anchor, end uint64, known string) string {
	switch {
	case a.Seq == 0 || known == a.Hash:
	case end == 0:
		return fmt.Sprintf("the log is gone: the journal knows it up to line %d", a.Seq)
	case end < a.Seq:
		return fmt.Sprintf("the log ends at line %d, and the journal knows it up to line %d: lines were removed, or an older log was put back", end, a.Seq)
	case known != "":
		return fmt.Sprintf("line %d is not the one that the journal knows: another log was put there", a.Seq)
	}
	return ""
}
