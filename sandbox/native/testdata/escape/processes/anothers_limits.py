# tries: to read the gateway's limits
# layer: the filter lets prlimit64(2) name this process alone
# prints: EPERM
# bare: OK
space = ctypes.create_string_buffer(16)
print(call("prlimit64", VICTIM, 7, 0, space))
