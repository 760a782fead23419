// Package jail runs a command so that it can look and not touch: the second layer behind a policy that found it to be
// read-only. Where the policy was wrong, the command fails with EACCES or EPERM. It knows the kernel, and neither policies
// nor targets. It must never widen what the command could do without it. Begin with jail_linux.go; filter.go has the system
// calls.
package jail

import "errors"

// ErrUnsupported says that this kernel lacks what the jail needs; the wrapped text says what.
var ErrUnsupported = errors.New("the jail for commands needs Linux with Landlock")
