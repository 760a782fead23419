# tries: to end the process while its threads are inside calls of the supervisor's
# layer: an answer to a thread that is gone is nobody's loss
# prints: 0 0 0 0 0
# itself: a child that did not come to its end has another status
# bare: not run: it is about further interpreters
import subprocess
code = "import os, threading\nfor _ in range(20): threading.Thread(target=lambda: [os.stat('/etc') for _ in range(10**6)], daemon=True).start()\nos._exit(0)"
print(*(subprocess.call([sys.executable, "-c", code]) for _ in range(5)))
