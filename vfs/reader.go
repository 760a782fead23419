package vfs

import "strings"

// OfTheReader reports whether what stands under a name depends on the process that looks: /proc/self and
// /proc/thread-self. A source leaves them out, since they would show whoever reads for the script.
func OfTheReader(name string) bool {
	rest, ok := strings.CutPrefix(name, "/proc/")
	if !ok {
		return false
	}
	first, _, _ := strings.Cut(rest, "/")
	return first == "self" || first == "thread-self"
}
