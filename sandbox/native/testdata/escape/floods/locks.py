# tries: to fill the gateway with locks, also by cutting one into many
# layer: they are bounded for the session
# prints: ENOLCK ENOLCK DONE
# bare: not run: the kernel has another bound
import fcntl
os.chdir(HERE)
f, g = open("locked", "w+"), open("cut", "w+")
def take():
    for i in range(100_000): fcntl.lockf(f, fcntl.LOCK_EX, 1, 2 * i)
def cut():
    for i in range(100_000): fcntl.lockf(g, fcntl.LOCK_UN, 1, 2 * i + 1)
first = outcome(take)
fcntl.lockf(f, fcntl.LOCK_UN)
fcntl.lockf(g, fcntl.LOCK_EX)
print(first, outcome(cut), outcome(fcntl.lockf, g, fcntl.LOCK_UN))
