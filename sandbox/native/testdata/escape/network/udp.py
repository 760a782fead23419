# tries: to make a UDP socket
# layer: the filter refuses socket(2)
# prints: EPERM
# bare: DONE
import socket
print(outcome(socket.socket, socket.AF_INET, socket.SOCK_DGRAM))
