# tries: to become a program that is open
# layer: the supervisor lets one execveat(2) through, which was the first stage's
# prints: EPERM
# bare: EFAULT
fd = os.open("/proc/self/exe", os.O_RDONLY)
print(call("execveat", fd, b"\0", 8, 8, 0x1000))
