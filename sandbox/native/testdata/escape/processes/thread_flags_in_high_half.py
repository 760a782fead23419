# tries: flags in the high half of the argument
# layer: the filter compares all 64 bits
# prints: EPERM
# open: otherwise
# bare: not run: a raw clone would go on in both threads
print(call("clone", 0x3D0F00 | 1 << 33, 0, 0, 0, 0))
