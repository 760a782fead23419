# tries: to connect to a listener on the host's loopback
# layer: the filter refuses socket(2)
# prints: EPERM
# bare: DONE
import socket
print(outcome(socket.create_connection, ("127.0.0.1", PORT), 5))
