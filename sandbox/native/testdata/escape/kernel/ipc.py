# tries: to meet others in System V and POSIX queues, semaphores and shared memory
# layer: the filter does not know the calls
# prints: ENOSYS ENOSYS ENOSYS ENOSYS
# open: otherwise
# bare: not run: it would leave something behind
print(call("shmget", 1, 4096, 0o1666), call("semget", 1, 1, 0o1666), call("msgget", 1, 0o1666), call("mq_open", b"/x\0", 0o100, 0o666, 0))
