# tries: to get a pidfd of the gateway out of the socket that leads to it (SO_PEERPIDFD)
# layer: the filter lets getsockopt(2) ask harmless questions alone
# prints: EPERM
# bare: not run: it needs Linux 6.5
import socket
s = socket.socket(fileno=os.open("/dev/shannot", os.O_RDWR))
print(outcome(s.getsockopt, socket.SOL_SOCKET, 77, 4))
