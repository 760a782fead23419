# tries: to fill the table with pipes, pairs, timers and counters, and to nest waits
# layer: a session has so many pipes and sockets, a process so many descriptors
# prints: ENFILE ENFILE EMFILE ELOOP
# bare: not run: it depends on the limits of whoever runs the tests
import select, socket
polls = [select.epoll() for _ in range(10)]
def nest():
    for a, b in zip(polls, polls[1:]): a.register(b)
    polls[-1].register(polls[0])
kept = []
deep = outcome(nest)
def fill(make):
    while True: kept.append(make())
print(*(outcome(fill, make) for make in (socket.socketpair, os.pipe, lambda: os.eventfd(0))), "ELOOP" if deep in ("ELOOP", "EINVAL") else deep)
