# tries: to become a program of the host
# layer: the supervisor refuses execve(2)
# prints: EPERM
# bare: EFAULT
print(call("execve", b"/bin/sh\0", 8, 8))
