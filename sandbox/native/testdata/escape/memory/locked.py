# tries: to keep pages in memory that can then not be given to others
# layer: the limit for such pages is 0, and the filter does not know mlock(2)
# prints: EPERM ENOSYS
# open: otherwise
# bare: not run: it depends on the limits of whoever runs the tests
print(call("mmap", 0, 1 << 20, 3, 0x22 | 0x2000, 0xFFFFFFFFFFFFFFFF, 0), call("mlock", 0, 4096))
