# tries: a request of ioctl(2) with bits in its high half
# layer: the kernel and the filter look at the same 32 bits
# prints: ENOTTY
# bare: not run: it depends on the terminal that the tests run at
print(call("ioctl", 0, 0x5412 | 0x5401 << 32, b"x"))
