# tries: to look at threads of the gateway, and at its own, by numbers that /proc opens and does not list
# layer: numbers of threads are not there; those of its own lead to what it is told of itself
# prints: 0 True /opt/shannot/bin/python3.14 ENOENT
# bare: not run: it is no process of the gateway
import threading
tids = [t for t in os.listdir(f"/proc/{GATEWAY}/task") if t != str(GATEWAY)]
names = ("", "/comm", "/status", "/cmdline", "/exe", "/fd", "/environ", "/task", "/root")
there = [t + n for t in tids for n in names if outcome(os.lstat, f"/proc/{t}{n}") != "ENOENT"]
def look():
    own = threading.get_native_id()
    print(len(there), len(tids) > 1, os.readlink(f"/proc/{own}/exe"), outcome(open, f"/proc/{own}/mem"))
t = threading.Thread(target=look); t.start(); t.join()
