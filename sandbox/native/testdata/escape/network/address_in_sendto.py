# tries: to send on a pair with the address of a named socket
# layer: the filter lets sendto(2) through without an address alone
# prints: EPERM
# bare: EISCONN
import socket
a, b = socket.socketpair()
address = ctypes.create_string_buffer(b"\1\0" + SOCKET.encode())
print(call("sendto", a.fileno(), b"x", 1, 0, address, 2 + len(SOCKET)))
