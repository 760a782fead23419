# tries: to have the policy judge less of a path than the kernel takes
# layer: both take it to the NUL
# prints: ENOENT
# bare: not run: it is about the policy
print(call("openat", 0xFFFFFF9C, SECRET.encode() + b"\0.txt\0", 0, 0))
