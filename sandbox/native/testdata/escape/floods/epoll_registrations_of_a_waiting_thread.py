# tries: to hide registrations in epoll instances that have no descriptor, since threads wait for them
# layer: what the kernel still has is known by an epoll instance of the supervisor's; nothing is given back before
# prints: ENOSPC True
# bare: not run: it depends on the limits of whoever runs the tests
import select, threading, time
made, kept = 0, []
def hide():
    global made
    while made < 20000:
        poll, (read, write) = select.epoll(), os.pipe()
        kept.append((read, write))
        for number in range(500, 900):
            os.dup2(read, number); poll.register(number, 0); os.close(number); made += 1
        begun = threading.Event()
        def wait(fd=poll.fileno()):
            begun.set()
            libc.epoll_wait(fd, ctypes.create_string_buffer(1024), 1, 60_000)
        threading.Thread(target=wait, daemon=True).start()
        begun.wait(); time.sleep(0.02)
        poll.close()
print(outcome(hide), made <= 4096 or made)
os._exit(0)
