package native

import "debug/elf"

// loaderName is the dynamic loader of the embedded interpreter.
const loaderName = "/lib64/ld-linux-x86-64.so.2"

// elfMachine is what this architecture's libraries say in their header.
const elfMachine = elf.EM_X86_64
