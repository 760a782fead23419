# tries: a system call from machine code of the script's own, past the C library
# layer: the filter does not ask who calls
# prints: False
# open: True
# bare: not run: the run in the open is its control
# arch: amd64
import mmap
code = mmap.mmap(-1, 4096, prot=7)
code.write(bytes.fromhex("b829000000bf02000000be01000000ba000000000f05c3")) # eax 41 (socket), AF_INET, SOCK_STREAM; syscall
print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))() >= 0)
