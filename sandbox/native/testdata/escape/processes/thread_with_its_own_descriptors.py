# tries: to make a thread whose descriptors the supervisor does not see
# layer: the filter compares the flags of clone(2) whole
# prints: EPERM
# open: otherwise
# bare: not run: a raw clone would go on in both threads
print(call("clone", 0x3D0F00 & ~0x400, 0, 0, 0, 0))
