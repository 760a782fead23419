# tries: to start threads without end
# layer: threads are counted over all interpreters
# prints: True True
# itself: it compares the threads with both bounds
# bare: not run: it depends on the limits of whoever runs the tests
import threading
stop, n = threading.Event(), 0
try:
    while n < 1000: threading.Thread(target=stop.wait, daemon=True).start(); n += 1
except RuntimeError: pass
print(n >= 1, n < 70)
stop.set()
