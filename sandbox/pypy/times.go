//go:build linux && (amd64 || arm64)

package pypy

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shannot-gateway/vfs"
)

func (c *timeCalls) time(a []uint64) (int64, error) {
	seconds := c.now().Unix()
	if a[0] == 0 {
		return seconds, nil
	}
	return seconds, c.wire.store(a[0], le64(uint64(seconds))) // #nosec G115 -- the bits
}

func (c *timeCalls) gettimeofday(a []uint64) (int64, error) {
	now := c.now()
	if a[0] != 0 {
		if err := c.wire.store(a[0], encodeDuration(now.Unix(), int64(now.Nanosecond()/1000))); err != nil {
			return 0, err
		}
	}
	if a[1] != 0 {
		return 0, c.wire.store(a[1], make([]byte, 8)) // an obsolete struct timezone
	}
	return 0, nil
}

// clockGettime knows the clocks that say nothing of the gateway.
func (c *timeCalls) clockGettime(a []uint64) (int64, error) {
	var now unix.Timespec
	switch clock := i32(a[0]); clock {
	case unix.CLOCK_REALTIME, unix.CLOCK_REALTIME_COARSE:
		return 0, c.wire.store(a[1], encodeTimespec(c.now()))
	case unix.CLOCK_MONOTONIC, unix.CLOCK_MONOTONIC_RAW, unix.CLOCK_MONOTONIC_COARSE, unix.CLOCK_BOOTTIME:
		if err := unix.ClockGettime(clock, &now); err != nil {
			return 0, err
		}
		return 0, c.wire.store(a[1], encodeDuration(now.Unix()))
	case unix.CLOCK_PROCESS_CPUTIME_ID, unix.CLOCK_THREAD_CPUTIME_ID:
		cpu, _ := c.child.Used()
		return 0, c.wire.store(a[1], encodeDuration(int64(cpu/time.Second), int64(cpu%time.Second)))
	}
	return 0, unix.EINVAL
}

func (c *timeCalls) clockGetres(a []uint64) (int64, error) {
	if clock := i32(a[0]); clock < unix.CLOCK_REALTIME || clock > unix.CLOCK_BOOTTIME {
		return 0, unix.EINVAL
	}
	if a[1] == 0 {
		return 0, nil
	}
	return 0, c.wire.store(a[1], encodeDuration(0, 1))
}

// clock answers clock(3), in microseconds.
func (c *timeCalls) clock([]uint64) (int64, error) {
	cpu, _ := c.child.Used()
	return cpu.Microseconds(), nil
}

// ticksPerSecond is what sysconf(_SC_CLK_TCK) says.
const ticksPerSecond = 100

func (c *timeCalls) times(a []uint64) (int64, error) {
	cpu, _ := c.child.Used()
	used := le64(uint64(cpu * ticksPerSecond / time.Second)) // #nosec G115 -- not negative
	if a[0] != 0 {
		if err := c.wire.store(a[0], append(used, make([]byte, 24)...)); err != nil {
			return 0, err
		}
	}
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return 0, err
	}
	return now.Nano() / (int64(time.Second) / ticksPerSecond), nil
}

// getrusage fills in processor time and the largest resident size, in KiB.
func (c *timeCalls) getrusage(a []uint64) (int64, error) {
	const children = ^int32(0)
	var cpu time.Duration
	var memory int64
	if i32(a[0]) != children {
		cpu, memory = c.child.Used()
	}
	p := encodeDuration(int64(cpu/time.Second), int64(cpu%time.Second/time.Microsecond))
	p = append(p, make([]byte, 16)...)
	p = append(p, le64(uint64(memory>>10))...) // #nosec G115 -- not negative
	return 0, c.wire.store(a[1], append(p, make([]byte, 13*8)...))
}

// zoneFile is where a host says which time zone it is in, localtime(5).
const zoneFile = "/etc/localtime"

// targetZone is the zone of the machine that the script looks at, as tzset(3) finds it: TZ, else its own file.
func targetZone(fs *vfs.Session, tz string) *time.Location {
	name := zoneFile
	if tz != "" {
		name = zonePath(tz)
	}
	zone, err := time.LoadLocationFromTZData("", readFile(fs, name, maxZone))
	if err != nil {
		return time.UTC
	}
	return zone
}

// zonePath is the file that TZ means.
func zonePath(tz string) string {
	tz = strings.TrimPrefix(tz, ":")
	if strings.HasPrefix(tz, "/") {
		return tz
	}
	return "/usr/share/zoneinfo/" + tz
}

// maxZone is the largest time zone that is read, in bytes.
const maxZone = 64 << 10

// readFile reads a file of the view, up to limit bytes. What cannot be read is empty.
func readFile(fs *vfs.Session, name string, limit int64) []byte {
	f, err := fs.Open(name, unix.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil
	}
	defer func() { _ = f.Close() }()
	fd, err := f.Descriptor(unix.O_RDONLY)
	if err != nil {
		return nil
	}
	file := os.NewFile(uintptr(fd), name)
	defer func() { _ = file.Close() }()
	if info, err := f.Info(); err != nil || !info.IsRegular() {
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil || int64(len(text)) > limit {
		return nil
	}
	return text
}

// zoneRule is the rule in POSIX notation that a zone file ends with, tzfile(5); "" where there is none. An interpreter
// whose C library asks nobody is told the target's zone by it, in TZ.
func zoneRule(data []byte) string {
	text := strings.TrimSuffix(string(data), "\n")
	at := strings.LastIndexByte(text, '\n')
	if !strings.HasPrefix(text, "TZif") || at < 0 || len(data) == len(text) {
		return ""
	}
	rule := text[at+1:]
	for i := range len(rule) {
		if rule[i] <= ' ' || rule[i] > '~' {
			return ""
		}
	}
	return rule
}

// tmSize is the size of struct tm of time.h on 64-bit Linux.
const tmSize = 56

func (c *timeCalls) localtime(a []uint64) (int64, error) { return c.breakDown(a[0], c.zone) }
func (c *timeCalls) gmtime(a []uint64) (int64, error)    { return c.breakDown(a[0], nil) }

// breakDown answers the address of the one struct tm that stays. Without a zone it is GMT.
func (c *timeCalls) breakDown(address uint64, zone *time.Location) (int64, error) {
	var p [8]byte
	if err := c.wire.fetch(address, p[:]); err != nil {
		return 0, err
	}
	seconds := word(p[:], 0)
	const most = 67768036191676799 // the last second of the last year that tm_year can hold
	if seconds > most || seconds < -most {
		return 0, unix.EOVERFLOW
	}
	t := time.Unix(seconds, 0).UTC()
	name := "GMT"
	if zone != nil {
		t = t.In(zone)
		name, _ = t.Zone()
	}
	zoneText, err := c.texts.address(name)
	if err != nil {
		return 0, err
	}
	if c.tm == 0 {
		got, err := c.wire.allocate(make([]byte, tmSize))
		if err != nil {
			return 0, err
		}
		c.tm = got[0]
	}
	return int64(c.tm), c.wire.store(c.tm, encodeTm(t, uint64(zoneText))) // #nosec G115 -- addresses
}

// encodeTm encodes struct tm.
func encodeTm(t time.Time, zone uint64) []byte {
	dst := 0
	if t.IsDST() {
		dst = 1
	}
	_, offset := t.Zone()
	var p []byte
	for _, v := range []int{
		t.Second(), t.Minute(), t.Hour(), t.Day(), int(t.Month()) - 1, t.Year() - 1900, int(t.Weekday()), t.YearDay() - 1, dst, 0,
	} {
		p = binary.LittleEndian.AppendUint32(p, uint32(v)) // #nosec G115 -- an int of C
	}
	p = append(p, le64(uint64(offset))...) // #nosec G115 -- the bits
	return append(p, le64(zone)...)
}

// decodeTm reads the nine numbers of struct tm.
func decodeTm(p []byte) (n [9]int) {
	for i := range n {
		n[i] = int(int32(binary.LittleEndian.Uint32(p[4*i:]))) // #nosec G115 -- the bits
	}
	return n
}

func (c *timeCalls) mktime(a []uint64) (int64, error) {
	var p [tmSize]byte
	if err := c.wire.fetch(a[0], p[:]); err != nil {
		return 0, err
	}
	n := decodeTm(p[:])
	t := time.Date(n[5]+1900, time.Month(n[4]+1), n[3], n[2], n[1], n[0], 0, c.zone)
	if n[8] > 0 && !t.IsDST() {
		t = t.Add(-time.Hour) // told that it is summer time where it is not
	}
	name, _ := t.Zone()
	zone, err := c.texts.address(name)
	if err != nil {
		return 0, err
	}
	return t.Unix(), c.wire.store(a[0], encodeTm(t, uint64(zone))) // #nosec G115 -- an address
}

func (c *timeCalls) strftime(a []uint64) (int64, error) {
	formats, err := c.wire.texts(maxPath, a[2])
	if err != nil {
		return 0, err
	}
	var p [tmSize]byte
	if err := c.wire.fetch(a[3], p[:]); err != nil {
		return 0, err
	}
	out := formatTime(formats[0], decodeTm(p[:]), c.zone)
	if uint64(len(out))+1 > a[1] {
		return 0, nil // too long, which strftime(3) says by 0
	}
	return int64(len(out)), c.wire.store(a[0], append([]byte(out), 0))
}

// composite are the conversions of strftime(3) that are others in a row, in the C locale.
var composite = map[byte]string{
	'c': "%a %b %e %H:%M:%S %Y", 'D': "%m/%d/%y", 'F': "%Y-%m-%d", 'R': "%H:%M", 'T': "%H:%M:%S", 'x': "%m/%d/%y",
	'X': "%H:%M:%S", 'r': "%I:%M:%S %p", 'h': "%b",
}

// formatTime is strftime(3) in the C locale, on numbers as they come.
func formatTime(format string, n [9]int, zone *time.Location) string {
	t := time.Date(n[5]+1900, time.Month(n[4]+1), n[3], n[2], n[1], n[0], 0, zone)
	var out strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			out.WriteByte(format[i])
			continue
		}
		i++
		if (format[i] == 'E' || format[i] == 'O') && i+1 < len(format) {
			i++ // alternatives of other locales
		}
		if inner, ok := composite[format[i]]; ok {
			out.WriteString(formatTime(inner, n, zone))
			continue
		}
		out.WriteString(conversion(format[i], n, t))
	}
	return out.String()
}

// conversion is one conversion of strftime(3).
func conversion(c byte, n [9]int, t time.Time) string {
	pick := func(list []string, i int) string {
		if i < 0 || i >= len(list) {
			return "?"
		}
		return list[i]
	}
	year := n[5] + 1900
	switch c {
	case 'a', 'A':
		return short(pick(weekdays, n[6]), c == 'a')
	case 'b', 'B':
		return short(pick(months, n[4]), c == 'b')
	case 'C':
		return fmt.Sprintf("%02d", year/100)
	case 'd':
		return fmt.Sprintf("%02d", n[3])
	case 'e':
		return fmt.Sprintf("%2d", n[3])
	case 'G', 'g', 'V':
		isoYear, week := t.ISOWeek()
		return map[byte]string{'G': fmt.Sprint(isoYear), 'g': fmt.Sprintf("%02d", isoYear%100), 'V': fmt.Sprintf("%02d", week)}[c]
	case 'H':
		return fmt.Sprintf("%02d", n[2])
	case 'I':
		return fmt.Sprintf("%02d", (n[2]+11)%12+1)
	case 'j':
		return fmt.Sprintf("%03d", n[7]+1)
	case 'm':
		return fmt.Sprintf("%02d", n[4]+1)
	case 'M':
		return fmt.Sprintf("%02d", n[1])
	case 'n':
		return "\n"
	case 'p':
		return pick([]string{"AM", "PM"}, n[2]/12)
	case 'P':
		return strings.ToLower(pick([]string{"AM", "PM"}, n[2]/12))
	case 's':
		return fmt.Sprint(t.Unix())
	case 'S':
		return fmt.Sprintf("%02d", n[0])
	case 't':
		return "\t"
	case 'u':
		return fmt.Sprint((n[6]+6)%7 + 1)
	case 'U':
		return fmt.Sprintf("%02d", (n[7]+7-n[6])/7)
	case 'w':
		return fmt.Sprint(n[6])
	case 'W':
		return fmt.Sprintf("%02d", (n[7]+7-(n[6]+6)%7)/7)
	case 'y':
		return fmt.Sprintf("%02d", (year%100+100)%100)
	case 'Y':
		return fmt.Sprint(year)
	case 'z':
		return t.Format("-0700")
	case 'Z':
		return t.Format("MST")
	case '%':
		return "%"
	}
	return "%" + string(rune(c))
}

func short(name string, cut bool) string {
	if cut && len(name) > 3 {
		return name[:3]
	}
	return name
}

var (
	weekdays = []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
	months   = []string{
		"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December",
	}
)
