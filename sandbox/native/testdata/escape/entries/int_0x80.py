# tries: to enter the kernel by the 32-bit gate, whose numbers mean other calls
# layer: the filter kills the process
# prints:
# ends: SIGSYS
# open: True
# impossible: SIGSEGV, where the kernel has no 32-bit gate
# bare: not run: the run in the open is its control
# arch: amd64
import mmap
code = mmap.mmap(-1, 4096, prot=7)
code.write(bytes.fromhex("b814000000cd80c3")) # mov eax, 20 (getpid); int 0x80; ret
print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))() > 0)
