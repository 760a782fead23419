# tries: to make a TCP socket by its system call number, past the socket module
# layer: the filter refuses socket(2)
# prints: EPERM
# bare: OK
print(call("socket", 2, 1, 0))
