package native

import "golang.org/x/sys/unix"

// loaderName is the dynamic loader of the embedded interpreter.
const loaderName = "/lib64/ld-linux-x86-64.so.2"

// goThreadFlags are the flags with which Go's runtime makes a thread, exactly: cloneFlags in its os_linux.go, and what its
// sys_linux_amd64.s adds.
const goThreadFlags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_SYSVSEM | unix.CLONE_THREAD | unix.CLONE_SETTLS
