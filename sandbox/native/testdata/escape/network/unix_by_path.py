# tries: to talk to a service of the host by its socket's path
# layer: the filter refuses socket(2)
# prints: EPERM
# bare: DONE
import socket
def talk():
    s = socket.socket(socket.AF_UNIX)
    s.connect(SOCKET)
print(outcome(talk))
