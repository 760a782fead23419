# tries: to write its own memory through /proc, where page protection does not hold
# layer: the view has no such file
# prints: ENOENT ENOENT ENOENT ENOENT
# bare: DONE DONE DONE DONE
tid = os.getpid()
print(*(outcome(os.open, n, os.O_RDONLY) for n in ("/proc/self/mem", f"/proc/{tid}/mem", f"/proc/self/task/{tid}/mem", "/proc/thread-self/mem")))
