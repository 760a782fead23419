# tries: to bury itself and the supervisor in signals
# layer: signals reach the script alone
# prints: DONE True
# itself: it counts the signals that came
# bare: DONE True
import signal
n = 0
def ring(*a):
    global n
    n += 1
for s in (signal.SIGUSR1, signal.SIGCHLD, signal.SIGALRM, signal.SIGRTMAX): signal.signal(s, ring)
signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
for _ in range(3000): os.kill(os.getpid(), signal.SIGUSR1); os.kill(0, signal.SIGCHLD)
signal.setitimer(signal.ITIMER_REAL, 0)
print(outcome(os.stat, "/etc"), n > 3000)
