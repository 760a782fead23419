package native

import "debug/elf"

// loaderName is the dynamic loader of the embedded interpreter.
const loaderName = "/lib/ld-linux-aarch64.so.1"

// elfMachine is what this architecture's libraries say in their header.
const elfMachine = elf.EM_AARCH64
