# tries: to fill the table with pipes, pairs, timers and counters, and to nest waits
# wall: a process has so many descriptors
# prints: EMFILE ELOOP
# bare: not run: it depends on the limits of whoever runs the tests
import select, socket
polls = [select.epoll() for _ in range(10)]
def nest():
    for a, b in zip(polls, polls[1:]): a.register(b)
    polls[-1].register(polls[0])
kept = []
def fill():
    while True: kept.append(socket.socketpair()); kept.append(os.pipe()); kept.append(os.eventfd(0))
deep = outcome(nest)
print(outcome(fill), "ELOOP" if deep in ("ELOOP", "EINVAL") else deep)
