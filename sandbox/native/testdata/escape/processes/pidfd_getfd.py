# tries: to copy a descriptor of another process
# layer: the filter refuses pidfd_getfd(2), pidfd_send_signal(2) and process_madvise(2)
# prints: EPERM EPERM EPERM
# bare: EBADF EBADF EBADF
print(call("pidfd_getfd", 99, 0, 0), call("pidfd_send_signal", 99, 0, 0, 0), call("process_madvise", 99, 0, 0, 0, 0))
