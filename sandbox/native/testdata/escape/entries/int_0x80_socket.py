# tries: a socket by the 32-bit gate
# layer: the filter kills the process
# prints:
# ends: SIGSYS
# open: True
# impossible: SIGSEGV, where the kernel has no 32-bit gate
# bare: not run: the run in the open is its control
# arch: amd64
import mmap
code = mmap.mmap(-1, 4096, prot=7)
code.write(bytes.fromhex("b867010000bb02000000b901000000ba00000000cd80c3")) # eax 359 (socket), AF_INET, SOCK_STREAM
print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))() >= 0)
