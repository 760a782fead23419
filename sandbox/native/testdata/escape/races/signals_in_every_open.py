# tries: to lose or mix up descriptors of opens that signals interrupt
# layer: a descriptor is put in and told in one step
# prints: 0 True
# itself: it says whether signals came
# slow
# bare: 0 True
import signal, threading
signal.signal(signal.SIGUSR1, lambda *a: came.append(1) if len(came) < 1 else None)
came = []
main, stop = threading.get_ident(), False
def storm():
    while not stop: signal.pthread_kill(main, signal.SIGUSR1)
t = threading.Thread(target=storm, daemon=True); t.start()
wrong = 0
for i in range(3000):
    fd = os.open(SHOWN + "/file", os.O_RDONLY)
    wrong += fd < 3 or os.read(fd, 15) != b"the host's own\n"
    os.close(fd)
stop = True; t.join(); print(wrong, len(came) > 0)
