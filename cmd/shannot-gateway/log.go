package main

import (
	"fmt"
	"io"
	"log/slog"

	"shannot-gateway/approvals/render"
)

// newLog is the gateway's log. What agents, targets and scripts say reaches it in errors and names: every value passes
// the renderer, so that a terminal or a pager that shows the log obeys none of it.
func newLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		switch v := a.Value.Resolve(); v.Kind() {
		case slog.KindString:
			a.Value = slog.StringValue(render.Line(v.String()).String())
		case slog.KindAny:
			if _, ok := v.Any().(slog.Level); !ok {
				a.Value = slog.StringValue(render.Line(fmt.Sprint(v.Any())).String())
			}
		case slog.KindBool, slog.KindDuration, slog.KindFloat64, slog.KindInt64, slog.KindTime, slog.KindUint64, slog.KindGroup, slog.KindLogValuer:
		}
		return a
	}}))
}
