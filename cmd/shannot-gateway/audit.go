package main

import (
	"context"
	"fmt"
	"path/filepath"

	"shannot-gateway/approvals/audit"
	"shannot-gateway/approvals/render"
	"shannot-gateway/hostkeys"
)

// audit is `audit verify`: whether the audit log is the one that the gateway wrote. The gateway may be running.
func (p *program) audit(_ context.Context, args []string) int {
	c, status, ok := p.ofState("audit", "verify", args)
	if !ok {
		return status
	}
	keys, err := hostkeys.Existing(filepath.Join(c.State, hostKeyFolder))
	if err != nil {
		return p.fail(err)
	}
	v, err := audit.Verify(c.AuditDir(), publicKeys(keys))
	if err != nil {
		return p.fail(err)
	}
	for _, finding := range v.Findings {
		_, _ = fmt.Fprintln(p.stdout, render.Line(finding))
	}
	if v.Unsigned > 0 {
		_, _ = fmt.Fprintf(p.stdout, "%d lines at the end are not signed yet: the gateway writes them, or was killed\n", v.Unsigned)
	}
	if v.Cut > 0 {
		_, _ = fmt.Fprintf(p.stdout, "the last line is not whole, %d bytes: the gateway writes it, or was killed\n", v.Cut)
	}
	_, _ = fmt.Fprintf(p.stdout, "%d files, %d lines, up to line %d, signed by %s: %d findings\n", v.Files, v.Lines, v.Seq, signer(v), len(v.Findings))
	if len(v.Findings) > 0 {
		return exitFailure
	}
	return exitOK
}

func signer(v *audit.Verification) string {
	if v.SignedBy == "" {
		return "nobody"
	}
	return v.SignedBy
}
