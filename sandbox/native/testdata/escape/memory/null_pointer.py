# tries: to take more than itself along when it dies
# layer: the interpreter is a process of its own
# prints: before
# ends: SIGSEGV
# bare: SIGSEGV
print("before", flush=True)
ctypes.string_at(0)
