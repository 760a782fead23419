# tries: to reach ports and descriptor tables of the processor
# layer: the filter refuses the calls
# prints: EPERM EPERM EPERM
# open: otherwise
# bare: not run: as root it would
# arch: amd64
print(call("iopl", 3), call("ioperm", 0, 1, 1), call("modify_ldt", 1, 8, 16))
