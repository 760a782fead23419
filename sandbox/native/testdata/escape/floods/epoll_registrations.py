# tries: to use up the files that the user of the gateway may watch, by registering one number again and again
# layer: registrations are counted for the session, by the kernel's own list of them
# prints: ENOSPC True DONE
# bare: not run: it depends on the limits of whoever runs the tests
import select
keep = [os.open("/dev/null", os.O_RDONLY), *os.pipe()]
poll, made = select.epoll(), 0
def register():
    global made
    for _ in range(300):
        r, w = os.pipe()
        os.close(w)
        high = os.dup(r)
        for number in range(300, 340):
            os.dup2(r, number); poll.register(number); os.close(number); made += 1
        os.close(r); keep.append(high)
        if len(keep) > 200: os.close(keep.pop(3))
        if made > 8000: return
first = outcome(register)
bounded = made <= 4096
poll.close()
print(first, bounded or made, outcome(select.epoll().register, keep[1]))
