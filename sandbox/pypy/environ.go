//go:build linux && (amd64 || arm64)

package pypy

import (
	"encoding/binary"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// environment is the script's: KEY=VALUE, in order.
type environment struct {
	list []string
	size int
}

func (e *environment) set(list []string) {
	for _, kv := range list {
		if key, value, ok := strings.Cut(kv, "="); ok && key != "" && !strings.ContainsRune(kv, 0) {
			_ = e.put(key, value)
		}
	}
}

func (e *environment) find(key string) int {
	return slices.IndexFunc(e.list, func(kv string) bool {
		return len(kv) > len(key) && kv[len(key)] == '=' && kv[:len(key)] == key
	})
}

func (e *environment) lookup(key string) (string, bool) {
	if i := e.find(key); i >= 0 {
		return e.list[i][len(key)+1:], true
	}
	return "", false
}

func (e *environment) get(key string) string {
	value, _ := e.lookup(key)
	return value
}

// put sets a variable. ENOMEM where there are too many of them.
func (e *environment) put(key, value string) error {
	kv := key + "=" + value
	i := e.find(key)
	size := e.size + len(kv) + 1
	if i >= 0 {
		size -= len(e.list[i]) + 1
	}
	if size > maxVariables || i < 0 && len(e.list) >= maxNames {
		return unix.ENOMEM
	}
	e.size = size
	if i >= 0 {
		e.list[i] = kv
	} else {
		e.list = append(e.list, kv)
	}
	return nil
}

func (e *environment) remove(key string) {
	if i := e.find(key); i >= 0 {
		e.size -= len(e.list[i]) + 1
		e.list = slices.Delete(e.list, i, i+1)
	}
}

// address is the address of a C string that stays. What was said once is not said again.
func (t *texts) address(s string) (int64, error) {
	if address, ok := t.strings[s]; ok {
		return int64(address), nil // #nosec G115 -- an address
	}
	got, err := t.wire.allocate(append([]byte(s), 0))
	if err != nil {
		return 0, err
	}
	// It is the child's memory that grows without bound; the gateway's does not.
	if t.size += len(s) + 64; t.size <= maxVariables {
		t.strings[strings.Clone(s)] = got[0]
	}
	return int64(got[0]), nil // #nosec G115 -- an address
}

// getenv answers NULL, without an errno, where there is no such variable.
func (c *environmentCalls) getenv(a []uint64) (int64, error) {
	names, err := c.wire.texts(maxCommand, a[0])
	if err != nil {
		return 0, err
	}
	value, ok := c.environment.lookup(names[0])
	if !ok {
		return 0, nil
	}
	return c.texts.address(value)
}

// getEnviron answers an array of C strings: all of them in one block, and the array in another.
func (c *environmentCalls) getEnviron([]uint64) (int64, error) {
	var block []byte
	starts := make([]uint64, 0, len(c.environment.list))
	for _, kv := range c.environment.list {
		starts = append(starts, uint64(len(block)))
		block = append(append(block, kv...), 0)
	}
	got, err := c.wire.allocate(append(block, 0))
	if err != nil {
		return 0, err
	}
	var array []byte
	for _, at := range starts {
		array = binary.LittleEndian.AppendUint64(array, got[0]+at)
	}
	got, err = c.wire.allocate(append(array, make([]byte, 8)...))
	if err != nil {
		return 0, err
	}
	return int64(got[0]), nil // #nosec G115 -- an address
}

func (c *environmentCalls) setenv(a []uint64) (int64, error) {
	kv, err := c.wire.texts(maxCommand, a[0], a[1])
	if err != nil {
		return 0, err
	}
	if kv[0] == "" || strings.ContainsRune(kv[0], '=') {
		return 0, unix.EINVAL
	}
	if _, ok := c.environment.lookup(kv[0]); ok && i32(a[2]) == 0 {
		return 0, nil
	}
	return 0, c.change(kv[0], kv[1])
}

func (c *environmentCalls) putenv(a []uint64) (int64, error) {
	kv, err := c.wire.texts(maxCommand, a[0])
	if err != nil {
		return 0, err
	}
	key, value, ok := strings.Cut(kv[0], "=")
	if key == "" {
		return 0, unix.EINVAL
	}
	if !ok {
		c.environment.remove(key) // as glibc's putenv(3)
		return 0, nil
	}
	return 0, c.change(key, value)
}

func (c *environmentCalls) change(key, value string) error {
	err := c.environment.put(key, value)
	if err == nil && key == "TZ" {
		c.times.zone = targetZone(c.fs, value)
	}
	return err
}

func (c *environmentCalls) unsetenv(a []uint64) (int64, error) {
	names, err := c.wire.texts(maxCommand, a[0])
	if err != nil {
		return 0, err
	}
	if names[0] == "" || strings.ContainsRune(names[0], '=') {
		return 0, unix.EINVAL
	}
	c.environment.remove(names[0])
	return 0, nil
}
