# tries: paths of 4095 bytes and of more, and one that never ends
# layer: 4096 bytes with the NUL are read, and no more
# prints: OK ENAMETOOLONG ENAMETOOLONG
# bare: OK ENAMETOOLONG ENAMETOOLONG
path = lambda n: b"/" + b"./" * ((n - 1) // 2) + b"/" * ((n - 1) % 2) + b"\0"
space = ctypes.create_string_buffer(256)
print(call("newfstatat", 0xFFFFFF9C, path(4095), space, 0), call("newfstatat", 0xFFFFFF9C, path(4096), space, 0), call("newfstatat", 0xFFFFFF9C, b"/" * (1 << 20), space, 0))
