# tries: to use up the signals that may wait for the user of the gateway
# layer: few signals of a session wait; kill(2) merges what is beyond
# prints: DONE True True
# itself: it prints how many wait where these are more, and says that all were sent
# bare: not run: it depends on the limits of whoever runs the tests
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, range(34, 65))
def send():
    for _ in range(200):
        for number in range(34, 65): os.kill(os.getpid(), number)
sent = outcome(send)
waiting = [line.split()[1] for line in open("/proc/self/status") if line.startswith("SigQ")][0]
queued = [outcome(libc.sigqueue, os.getpid(), 40, None), call("rt_sigqueueinfo", os.getpid(), 40, ctypes.create_string_buffer(128))]
print(sent, int(waiting.split("/")[0]) <= 64 or waiting, queued[1] == "EPERM" or queued)
