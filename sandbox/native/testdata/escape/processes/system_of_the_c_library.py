# tries: to start a shell with the C library's own system(3)
# layer: the filter refuses what it is made of
# prints: 127
# bare: 0
print(os.waitstatus_to_exitcode(libc.system(b"true")))
