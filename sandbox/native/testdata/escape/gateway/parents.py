# tries: to learn the gateway's process id from its parent's
# layer: the parent is told as 1
# prints: 1 1 True
# open: otherwise
# bare: not run: it is about the gateway
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(os.getppid(), status["PPid"].strip(), outcome(os.getpgid, GATEWAY) == "ESRCH")
