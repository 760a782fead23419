# tries: to make a thread with a user namespace of its own
# layer: the filter compares the flags of clone(2) whole
# prints: EPERM
# bare: EINVAL
print(call("clone", 0x3D0F00 | 0x10000000, 0, 0, 0, 0))
