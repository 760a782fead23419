package journal

// Exit statuses that a session can end with and that are not the script's own. 64 to 77 are those of sysexits.h with
// the same names. ExitWaiting is what an agent gets who stops waiting: its session has none yet.
const (
	ExitUsage        = 64  // EX_USAGE: bad usage
	ExitNotAScript   = 65  // EX_DATAERR: not UTF-8, too large, empty
	ExitUnreachable  = 69  // EX_UNAVAILABLE: the target cannot be reached, or an approval not be carried out
	ExitFault        = 70  // EX_SOFTWARE: our fault
	ExitConflict     = 73  // EX_CANTCREAT: a write could not be committed, or what was to be approved is not what waits
	ExitWaiting      = 75  // EX_TEMPFAIL: waits for a human, the id is on stderr
	ExitNotPermitted = 77  // EX_NOPERM: not permitted, or rejected
	ExitBusy         = 79  // no place for another session now: try again; sysexits.h has no name for it
	ExitTime         = 124 // out of time, as timeout(1)
	ExitLimit        = 137 // killed by a limit, as by SIGKILL
)
