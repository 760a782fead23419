# tries: to interrupt calls of the supervisor's with a storm of signals, so that one is done twice or not at all
# layer: a call that the supervisor has taken is not interrupted, or is told as it ended
# prints: 0 500 True
# itself: it says whether signals came
# bare: 0 500 True
import signal, threading
signal.signal(signal.SIGUSR1, lambda *a: came.append(1) if len(came) < 1 else None)
came = []
main, stop = threading.get_ident(), False
def storm():
    while not stop: signal.pthread_kill(main, signal.SIGUSR1)
os.mkdir(HERE + "/many"); os.chdir(HERE + "/many")
thread = threading.Thread(target=storm, daemon=True); thread.start()
twice = i = 0
while i < 500:
    try: os.mkdir(str(i)); i += 1
    except InterruptedError: pass # not taken yet, and so not done: the next try must find nothing there
    except FileExistsError: twice += 1; i += 1
stop = True; thread.join()
print(twice, len(os.listdir(".")), len(came) > 0)
