# tries: a name that goes on after its NUL
# layer: a path ends at its NUL, for the policy as for the kernel
# prints: OK False
# itself: it says that a file was made, and which
# bare: OK False
os.chdir(HERE)
print(call("openat", 0xFFFFFF9C, b"a\0b\0", 0o101, 0o600), "b" in os.listdir("."))
