package native

import (
	"debug/elf"

	"golang.org/x/sys/unix"
)

// auditArch is AUDIT_ARCH_X86_64, see linux/audit.h. Any other architecture's entry (int 0x80) is killed, and so is
// the x32 entry, whose numbers carry x32Bit.
const (
	auditArch = unix.AUDIT_ARCH_X86_64
	x32Bit    = 0x40000000
)

// loaderName is the dynamic loader of the embedded interpreter.
const loaderName = "/lib64/ld-linux-x86-64.so.2"

// archTable holds the calls that only this architecture has.
var archTable = []row{
	{call: "stat", do: notify, why: "names a path"},
	{call: "lstat", do: notify, why: "names a path"},
	{call: "open", do: notify, why: "names a path, makes a descriptor"},
	{call: "poll", why: "own descriptors"},
	{call: "select", why: "own descriptors"},
	{call: "epoll_create", do: notify, why: "as epoll_create1"},
	{call: "epoll_wait", why: "own descriptors"},
	{call: "eventfd", why: "own counter"},
	{call: "dup2", do: notify, when: onStream(0), why: "a stream's number says that it is one"},
	{call: "dup2", why: "own descriptors"},
	{call: "pipe", do: notify, why: "an anonymous pipe leads nowhere, and is counted"},
	{call: "alarm", why: "own timers"},
	{call: "pause", why: "own signals"},
	{call: "time", why: "time"},
	{call: "getpgrp", why: "own number"},
	{call: "arch_prctl", why: "own registers"},
	{call: "creat", do: notify, why: "names a path, makes a descriptor"},
	{call: "access", do: notify, why: "names a path"},
	{call: "readlink", do: notify, why: "names a path"},
	{call: "mkdir", do: notify, why: "names a path"},
	{call: "rmdir", do: notify, why: "names a path"},
	{call: "unlink", do: notify, why: "names a path"},
	{call: "rename", do: notify, why: "names paths"},
	{call: "link", do: notify, why: "names paths"},
	{call: "symlink", do: notify, why: "names a path"},
	{call: "chmod", do: notify, why: "names a path"},
	{call: "chown", do: notify, why: "names a path"},
	{call: "lchown", do: notify, why: "names a path"},
	{call: "fork", do: fail, errno: unix.EPERM, why: "commands go to the gate"},
	{call: "vfork", do: fail, errno: unix.EPERM, why: "commands go to the gate"},
	{call: "mknod", do: fail, errno: unix.EPERM, why: "devices and FIFOs"},
	{call: "iopl", do: fail, errno: unix.EPERM, why: "hardware"},
	{call: "ioperm", do: fail, errno: unix.EPERM, why: "hardware"},
	{call: "modify_ldt", do: fail, errno: unix.EPERM, why: "kernel"},
}

// elfMachine is what this architecture's libraries say in their header.
const elfMachine = elf.EM_X86_64
