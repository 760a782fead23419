# tries: to make memory files of its own, hidden or executable
# layer: the filter does not know memfd_create(2) and memfd_secret(2)
# prints: ENOSYS ENOSYS
# open: otherwise
# bare: not run: memfd_secret depends on the kernel's command line
print(call("memfd_create", b"x\0", 0), call("memfd_secret", 0))
