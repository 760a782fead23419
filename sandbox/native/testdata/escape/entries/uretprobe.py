# tries: the one call that the kernel lets past every filter (uretprobe(2), from Linux 6.11 on)
# layer: the kernel kills a caller that no probe of its own has sent
# prints:
# ends: SIGILL
# impossible: ENOSYS, where the kernel is older than 6.11 or built without it
# bare: not run: it depends on the kernel's version
# arch: amd64
print(call(NR["uretprobe"]))
