# tries: the same with the flags that socketpair(2) takes in its type argument
# layer: the filter compares the type without the two flags
# prints: EPERM EPERM EPERM
# bare: OK OK OK
space = ctypes.create_string_buffer(8)
print(*(call("socketpair", 1, 2 | flags, 0, space) for flags in (0o2000000, 0o4000, 0o2004000)))
