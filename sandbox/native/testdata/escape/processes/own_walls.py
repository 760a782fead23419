# tries: to put a filter of its own before the gateway's, and to take over the listener
# layer: the filter refuses seccomp(2) and prctl(2)
# prints: EPERM EPERM EPERM
# bare: EFAULT EFAULT EFAULT
prctl = call("prctl", 22, 2, 8, 0, 0)
print(call("seccomp", 1, 0, 8), call("seccomp", 1, 8, 8), prctl if prctl != "EACCES" else "EFAULT")
