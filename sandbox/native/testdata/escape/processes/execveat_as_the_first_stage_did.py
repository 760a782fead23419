# tries: to repeat the first stage's execveat(2), with the dynamic loader on the same descriptor
# layer: the supervisor lets it through once
# prints: EPERM
# bare: not run: it is about the supervisor
os.dup2(os.open("/opt/shannot/bin/python3.14", os.O_RDONLY), 4)
print(call("execveat", 4, b"\0", 0, 0, 0x1000))
