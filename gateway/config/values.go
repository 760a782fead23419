package config

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// duration is a time with a unit, "90s" or "10m", or 0. It is a struct, since the decoder would put a bare number into
// an integer type without asking UnmarshalText.
type duration struct{ value time.Duration }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error {
	v, err := ParseDuration(string(text))
	d.value = v
	return err
}

// ParseDuration reads a time that is not negative, such as "90s", "10m", "24h" or "7d"; "0" and "none" mean no limit.
func ParseDuration(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	if s == "0" || s == "none" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	v, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration; write one with a unit, such as \"90s\" or \"10m\", or 0 for none", s)
	}
	if v < 0 {
		return 0, fmt.Errorf("%q is negative; 0 means no limit", s)
	}
	return v, nil
}

// size is a number of bytes with a unit, "512MiB", or 0. It is a struct for the same reason.
type size struct{ value int64 }

// UnmarshalText implements encoding.TextUnmarshaler.
func (z *size) UnmarshalText(text []byte) error {
	v, err := ParseSize(string(text))
	z.value = v
	return err
}

// sizeUnits are powers of 1024 and of 1000. "k", "M" and "G" alone are the former, as in ulimit and systemd.
var sizeUnits = []struct {
	suffix string
	bytes  int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"K", 1 << 10}, {"k", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", 1 << 40}, {"B", 1},
}

// ParseSize reads a number of bytes such as "512MiB"; a bare number is bytes, and "0" and "none" mean no limit.
func ParseSize(s string) (int64, error) {
	s = strings.TrimSpace(s)
	if s == "none" {
		return 0, nil
	}
	digits, unit := s, int64(1)
	for _, u := range sizeUnits {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			digits, unit = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, fmt.Errorf("%q is not a size; write one such as \"512MiB\", or 0 for none", s)
	}
	return n * unit, nil
}

// check refuses algorithms that the SSH library does not have or calls insecure.
func (a Algorithms) check() error {
	known := ssh.SupportedAlgorithms()
	for _, list := range []struct {
		key    string
		values []string
		known  []string
	}{{"kex", a.KeyExchanges, known.KeyExchanges}, {"ciphers", a.Ciphers, known.Ciphers}, {"macs", a.MACs, known.MACs}} {
		if list.values != nil && len(list.values) == 0 {
			return fmt.Errorf("[ssh] %s is an empty list: leave it out for the default", list.key)
		}
		for _, v := range list.values {
			if !slices.Contains(list.known, v) {
				return fmt.Errorf("[ssh] %s: %q is not known or not secure; there are: %s", list.key, v, strings.Join(list.known, ", "))
			}
		}
	}
	return nil
}
