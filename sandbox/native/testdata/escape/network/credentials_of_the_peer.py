# tries: to learn the gateway's process and user from the socket that leads to it
# layer: the filter lets getsockopt(2) ask harmless questions alone
# prints: EPERM
# bare: DONE
import socket
try: s = socket.socket(fileno=os.open("/dev/shannot", os.O_RDWR))
except OSError: s = socket.socketpair()[0]
print(outcome(s.getsockopt, socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
