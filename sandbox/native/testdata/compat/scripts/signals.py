import select, signal, threading, time
seen = []
signal.signal(signal.SIGUSR1, lambda s, f: seen.append(s)); os.kill(os.getpid(), signal.SIGUSR1); signal.raise_signal(signal.SIGUSR1); os.killpg(0, signal.SIGUSR1) if os.getpgid(0) == os.getpid() else signal.raise_signal(signal.SIGUSR1); print(len(seen))
signal.signal(signal.SIGALRM, lambda s, f: seen.append("alarm")); signal.setitimer(signal.ITIMER_REAL, 0.01); signal.pause(); print(seen[-1], signal.getitimer(signal.ITIMER_REAL), signal.alarm(9), signal.alarm(0))
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2}); os.kill(os.getpid(), signal.SIGUSR2); print(signal.SIGUSR2 in signal.sigpending(), signal.sigwait({signal.SIGUSR2}), signal.sigtimedwait({signal.SIGUSR2}, 0.01)); signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
r, w = os.pipe(); os.set_blocking(w, False); old = signal.set_wakeup_fd(w); signal.raise_signal(signal.SIGUSR1); print(select.select([r], [], [], 20)[0] == [r], os.read(r, 1) == bytes([signal.SIGUSR1]), signal.set_wakeup_fd(old) == w)
class Stop(Exception): pass
def stop(*_): raise Stop
signal.signal(signal.SIGALRM, stop); signal.setitimer(signal.ITIMER_REAL, 0.02)
try: time.sleep(60)
except Stop: print("interrupted a sleep")
signal.setitimer(signal.ITIMER_REAL, 0.02)
try: os.read(r, 1)
except Stop: print("interrupted a read")
signal.signal(signal.SIGALRM, lambda *_: os.write(w, b"z")); signal.setitimer(signal.ITIMER_REAL, 0.02); print(os.read(r, 1))
t = threading.Thread(target=lambda: signal.pthread_kill(threading.main_thread().ident, signal.SIGUSR1)); t.start(); t.join(); print(len(seen), signal.getsignal(signal.SIGTERM) == signal.SIG_DFL, signal.getsignal(signal.SIGINT) is signal.default_int_handler)
try: signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt: print("keyboard")
try: signal.signal(signal.SIGKILL, stop)
except OSError as e: print(errno.errorcode[e.errno])
signal.signal(signal.SIGVTALRM, stop); signal.setitimer(signal.ITIMER_VIRTUAL, 0.01)
try:
    while True: pass
except Stop: print("virtual time")
fd = os.timerfd_create(time.CLOCK_MONOTONIC); os.timerfd_settime(fd, initial=0.01); print(int.from_bytes(os.read(fd, 8), "little")); n = os.eventfd(3); print(os.eventfd_read(n))
print(time.monotonic() <= time.monotonic(), time.get_clock_info("monotonic").adjustable, time.thread_time() > 0, os.times().user >= 0, len(os.sched_getaffinity(0)) > 0, os.cpu_count() > 0, os.getloadavg()[0] >= 0)
