# tries: to ask a name server, which would carry data out
# layer: the filter refuses socket(2)
# prints: gaierror
# bare: not run: it would ask a real name server
import socket
print(outcome(socket.getaddrinfo, "secret.example.com", 80))
