package native

import "golang.org/x/sys/unix"

// loaderName is the dynamic loader of the embedded interpreter.
const loaderName = "/lib/ld-linux-aarch64.so.1"

// goThreadFlags are the flags with which Go's runtime makes a thread, exactly: cloneFlags in its os_linux.go, and what its
// sys_linux_arm64.s adds.
const goThreadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD
