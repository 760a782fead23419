// Command bench measures what the product gives, from ssh to output: it starts the gateway and OpenSSH's server beside it, with
// keys and directories of its own, and prints each thing as a ratio of two measurements that were taken in turns in this run:
//
//	go run ./internal/bench                  # all rows, some minutes
//	go run ./internal/bench -rounds 5 hello  # the rows whose names begin so, fewer times
//	go run ./internal/bench -page docs/performance.md # all rows, and puts them into that page
//
// It needs the OpenSSH client and server and python3, and leaves nothing behind. It must never be pointed at another host.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"
	"time"
)

// row is one line of the result.
type row struct {
	name  string
	run   func(ctx context.Context, b *bench) (result, error)
	about string // what is compared with what
}

// result is what a row came to. One that is no comparison has a value alone.
type result struct {
	value, against string
	ratio          float64 // 0 for none
}

func main() {
	rounds := flag.Int("rounds", 15, "how many times each thing is measured")
	binary := flag.String("gateway", "", "a shannot-gateway to measure (default: one that is built now)")
	to := flag.String("page", "", "a page of the documentation that shows the result, to be brought up to date")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := show(ctx, *binary, *rounds, *to, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// show prints the result, and puts it into a page where there is one.
func show(ctx context.Context, binary string, rounds int, to string, names []string) error {
	if to != "" && len(names) > 0 {
		return errors.New("a page shows all rows: leave out their names")
	}
	var text bytes.Buffer
	if err := run(ctx, io.MultiWriter(os.Stdout, &text), binary, rounds, names); err != nil {
		return err
	}
	if to == "" {
		return nil
	}
	page, err := os.ReadFile(to) // #nosec G304 -- the user's own choice
	if err != nil {
		return err
	}
	page, err = replaceResult(page, text.Bytes())
	if err != nil {
		return fmt.Errorf("%s: %w", to, err)
	}
	return os.WriteFile(to, page, 0o644) // #nosec G306 -- documentation
}

func run(ctx context.Context, to io.Writer, binary string, rounds int, names []string) error {
	machine, err := describeMachine()
	if err != nil {
		return err
	}
	b, err := newBench(ctx, binary, rounds)
	if err != nil {
		return err
	}
	defer b.close()
	_, _ = fmt.Fprintf(to, "%s, %d rounds\n", machine, rounds)
	out := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(out, "what\tgateway\tagainst\tratio\t")
	for _, r := range rows {
		if !wanted(r.name, names) {
			continue
		}
		got, err := r.run(ctx, b)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		ratio := ""
		if got.ratio != 0 {
			ratio = fmt.Sprintf("%.2f", got.ratio)
		}
		_, _ = fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\n", r.name, got.value, got.against, ratio, r.about)
	}
	return out.Flush()
}

func wanted(name string, names []string) bool {
	for _, n := range names {
		if strings.HasPrefix(name, n) {
			return true
		}
	}
	return len(names) == 0
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}
