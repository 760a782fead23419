# tries: to make a pipe that the kernel sends its notifications to
# layer: the filter lets pipe2(2) take the usual flags alone
# prints: EINVAL
# open: otherwise
# bare: not run: it depends on the kernel's configuration
space = ctypes.create_string_buffer(8)
print(call("pipe2", space, 0o200))
