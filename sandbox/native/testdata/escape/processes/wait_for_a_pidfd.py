# tries: to have waitid(2) take a descriptor for a process
# layer: the supervisor knows no descriptors of processes
# prints: EINVAL
# bare: EBADF
print(call("waitid", 3, 99, 0, 4, 0))
