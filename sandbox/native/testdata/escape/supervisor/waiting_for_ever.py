# tries: to outlast the time of the session in a wait that the supervisor answers
# layer: the limit kills the interpreter wherever it is
# prints: waiting
# ends: wall
# slow
# bare: not run: it would wait
import subprocess
print("waiting", flush=True)
subprocess.run([sys.executable, "-c", "import time; time.sleep(600)"])
