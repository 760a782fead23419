# tries: to have a command read from an output and write to an input
# layer: a descriptor is used as the script could itself
# prints: EBADF EBADF
# bare: not run: it is about the supervisor
import sitecustomize as s
r, w = os.pipe()
print(outcome(s._start, ["cat"], ["/bin/cat"], None, None, w, 1, 2), outcome(s._start, ["cat"], ["/bin/cat"], None, None, 0, r, 2))
