# tries: the one call that the kernel lets past every filter (uretprobe(2), from Linux 6.11 on)
# wall: the kernel kills a caller that no probe of its own has sent; an older kernel does not know it
# prints:
# ends: SIGILL or exited
# bare: not run: it depends on the kernel's version
# arch: amd64
r = call(NR["uretprobe"])
if r != "ENOSYS": print(r)
