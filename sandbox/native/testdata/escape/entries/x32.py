# tries: to enter the kernel by the numbers of the x32 architecture
# layer: the filter kills the process
# prints:
# ends: SIGSYS
# bare: True
# arch: amd64
print(call(0x40000000 | NR["getpid"]) in ("OK", "ENOSYS"))
