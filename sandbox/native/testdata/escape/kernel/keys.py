# tries: to read and plant keys in the host's keyrings
# layer: the filter refuses the calls
# prints: EPERM EPERM EPERM
# bare: not run: it would plant one
print(call("keyctl", 0, 0xFFFFFFFD, 0), call("add_key", b"user\0", b"x\0", b"x", 1, 0xFFFFFFFE), call("request_key", b"user\0", b"x\0", 0, 0))
