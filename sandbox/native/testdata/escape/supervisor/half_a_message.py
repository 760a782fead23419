# tries: to hold the supervisor with half a message, on every connection that it can get
# layer: connections and bytes are bounded, and nobody else waits for them
# prints: True EMFILE DONE
# bare: not run: it is about the supervisor
fds = []
while (e := outcome(lambda: fds.append(os.open("/dev/shannot", os.O_RDWR)))) == "DONE" and len(fds) < 1000: os.write(fds[-1], b"\x10\0\0\0half")
print(64 <= len(fds) < 100, e, outcome(os.stat, "/etc"))
