# tries: to signal every process that there is, init, and the gateway's group
# layer: the supervisor refuses it
# prints: EPERM EPERM EPERM EPERM
# open: otherwise
# bare: not run: it would
print(*(call("kill", pid & 0xFFFFFFFFFFFFFFFF, 9) for pid in (-1, 1, -GATEWAY, -(1 << 31))))
