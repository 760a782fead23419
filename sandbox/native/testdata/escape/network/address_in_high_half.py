# tries: the same with an address whose low half is zero
# layer: the filter compares all 64 bits
# prints: EPERM
# bare: EFAULT
import socket
a, b = socket.socketpair()
print(call("sendto", a.fileno(), b"x", 1, 0, 1 << 32, 16))
