# tries: to have the kernel open files and connect in the background, past the filter
# layer: the filter does not know io_uring
# prints: ENOSYS ENOSYS ENOSYS
# open: otherwise
# bare: not run: it depends on kernel.io_uring_disabled
print(call("io_uring_setup", 8, 8), call("io_uring_enter", 0, 0, 0, 0, 0), call("io_uring_register", 0, 0, 0, 0))
