# tries: a negative number
# layer: it has the bit of x32 set: the filter kills the process
# prints:
# ends: SIGSYS
# bare: ENOSYS
# arch: amd64
print(call(-1))
