//go:build linux && (amd64 || arm64)

package supervisor

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"shannot-gateway/internal/linux/procfs"
	"shannot-gateway/internal/linux/seccomp"
)

// The kernel shows the arguments of every process to everybody, in /proc/PID/cmdline: it reads the memory where an exec has
// put them. A script's code and arguments are Nobody else's business, so an interpreter is started with an empty text in the
// place of each of them, and finds them behind its environment, which the kernel shows to Nobody who may not read its memory.
// When it makes its first call, which is its loader's before any argument is looked at, the pointers to the one are made
// pointers to the other. From then on it is a process like any other that was started with these arguments.

// hiddenMark begins each text behind the environment: a text of the script must not look like a variable, which the loader
// would take for its own, as LD_PRELOAD.
const hiddenMark = "="

// Hide adds arguments that the kernel shows to Nobody. What stands last in the environment is then there more than once.
func (c *Config) Hide(args []string) {
	for _, a := range args {
		c.Argv = append(c.Argv, nil)
		c.Env = append(c.Env, []byte(hiddenMark+a))
	}
	c.Hidden = len(args)
}

// imageOf is where a new program's image has its texts: of proc_pid_stat(5) the fields startstack and arg_start to env_end.
type imageOf struct{ stack, args, argsEnd, env, envEnd uint64 }

func imageOfProcess(pid int) (m imageOf, err error) {
	text := procfs.Small(fmt.Sprintf("/proc/%d/stat", pid))
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	const third = 3 // the field that the first of these is
	for field, to := range map[int]*uint64{28: &m.stack, 48: &m.args, 49: &m.argsEnd, 50: &m.env, 51: &m.envEnd} {
		if len(fields) <= field-third {
			return m, errNoImage
		}
		if *to, err = strconv.ParseUint(fields[field-third], 10, 64); err != nil {
			return m, err
		}
	}
	const most = 64 << 20 // bytes, more than an exec takes
	if m.stack == 0 || m.stack >= m.args || m.args > m.argsEnd || m.argsEnd > m.env || m.env > m.envEnd || m.envEnd-m.stack > most {
		return m, errNoImage
	}
	return m, nil
}

var errNoImage = errors.New("the kernel does not say where the interpreter has its arguments")

// reveal makes the hidden arguments what the program is started with. It is called while the first call of its loader waits.
func (c *Config) reveal(pid int) error {
	if c.Hidden == 0 {
		return nil
	}
	m, err := imageOfProcess(pid)
	if err != nil {
		return err
	}
	hidden := c.Env[len(c.Env)-c.Hidden:]
	at := m.envEnd
	for _, text := range hidden {
		at -= uint64(len(text)) + 1
	}
	last := at - uint64(len(c.Env[len(c.Env)-c.Hidden-1])) - 1 // the variable before them
	instead := map[uint64]uint64{}
	for i, text := range hidden {
		instead[m.argsEnd-uint64(c.Hidden-i)] = at + uint64(len(hiddenMark)) // #nosec G115 -- a few thousand
		instead[at] = last
		at += uint64(len(text)) + 1
	}
	vectors := make([]byte, (m.args-m.stack)&^7)
	if n, e := seccomp.ReadMemory(pid, m.stack, vectors); e != 0 || n != len(vectors) {
		return fmt.Errorf("read the interpreter's arguments: %w", e)
	}
	replaced := 0
	for word := vectors; len(word) > 0; word = word[8:] {
		if p, ok := instead[binary.NativeEndian.Uint64(word)]; ok {
			binary.NativeEndian.PutUint64(word, p)
			replaced++
		}
	}
	if replaced != len(instead) {
		return fmt.Errorf("found %d of the interpreter's %d arguments and variables", replaced, len(instead))
	}
	if e := seccomp.WriteMemory(pid, m.stack, vectors); e != 0 {
		return fmt.Errorf("write the interpreter's arguments: %w", e)
	}
	return nil
}
