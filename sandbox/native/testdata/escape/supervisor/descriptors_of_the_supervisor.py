# tries: to give a command descriptors that only the supervisor has
# layer: they are taken out of the script's own table
# prints: EBADF EBADF EBADF
# bare: not run: it is about the supervisor
import sitecustomize as s
print(*(outcome(s._start, ["cat"], ["/bin/cat"], None, None, fd, 1, 2) for fd in (77, 1023, 0x7FFFFFFF)))
