# tries: to make the gateway's own log or terminal act on a process's name
# layer: a name has sixteen bytes, and nobody prints it
# prints: OK
# itself: it says that the name was set
# bare: OK
print(call("prctl", 15, b"\x1b]0;x\x07\n) R 1 1\0", 0, 0, 0))
