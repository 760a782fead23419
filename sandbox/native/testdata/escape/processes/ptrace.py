# tries: to trace a process, to seize it, and to be traced
# layer: the filter refuses ptrace(2)
# prints: EPERM EPERM EPERM
# open: otherwise
# bare: not run: it would stop processes
print(call("ptrace", 16, VICTIM, 0, 0), call("ptrace", 0x4206, VICTIM, 0, 0), call("ptrace", 0, 0, 0, 0))
