# tries: to enter a new namespace of every kind, and an old one by descriptor
# layer: the filter refuses unshare(2) and setns(2)
# prints: EPERM EPERM EPERM EPERM EPERM EPERM EPERM EPERM EPERM
# open: otherwise
# bare: not run: it would
print(*(call("unshare", flag) for flag in (0x10000000, 0x20000, 0x40000000, 0x20000000, 0x8000000, 0x4000000, 0x2000000, 0x400)), call("setns", 0, 0))
