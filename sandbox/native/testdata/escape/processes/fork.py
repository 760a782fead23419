# tries: to fork
# layer: the filter refuses fork(2) and every clone(2) that makes no thread
# prints: EPERM
# bare: DONE
def fork():
    if os.fork() == 0: os._exit(0)
    os.wait()
print(outcome(fork))
