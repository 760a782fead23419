# tries: to open files until nothing can be opened, and to go on
# layer: a process has so many descriptors; the supervisor keeps none of them
# prints: EMFILE True DONE
# bare: not run: it depends on the limits of whoever runs the tests
fds = []
while (e := outcome(lambda: fds.append(os.open(SHOWN + "/file", os.O_RDONLY)))) == "DONE": pass
many = len(fds) <= 1024
for fd in fds: os.close(fd)
print(e, many, outcome(os.stat, "/etc"))
