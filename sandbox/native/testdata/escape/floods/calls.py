# tries: to keep the supervisor busy with calls from many threads
# layer: a thread waits for its own answer; calls are bounded in each second
# prints: 20000
# itself: it counts the calls that were answered
# slow
# bare: 20000
import threading
done = []
def work(): done.extend(outcome(os.stat, "/etc") for _ in range(1000))
threads = [threading.Thread(target=work) for _ in range(20)]
for t in threads: t.start()
for t in threads: t.join()
print(done.count("DONE"))
