# tries: to hold the supervisor with the slowest calls that there are, in many threads
# layer: calls are bounded in each second, and the limit kills the interpreter wherever it is
# prints: working
# ends: wall
# slow
# bare: not run: it would work for ever
import threading
print("working", flush=True)
def work():
    while True:
        try: os.listdir("/proc"); os.stat("/" + "../" * 1000 + "etc"); os.listdir("/usr/bin")
        except OSError: pass
for _ in range(30): threading.Thread(target=work, daemon=True).start()
work()
