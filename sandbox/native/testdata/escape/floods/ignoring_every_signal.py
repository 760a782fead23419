# tries: to live on when its time is over
# layer: the limit kills with a signal that nobody can ignore
# prints: up
# ends: wall
# slow
# bare: not run: it would run for ever
import signal
for s in range(1, 65):
    try: signal.signal(s, signal.SIG_IGN)
    except (OSError, ValueError): pass
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
print("up", flush=True)
while True: pass
