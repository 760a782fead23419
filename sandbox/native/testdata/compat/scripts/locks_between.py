import fcntl, signal, sqlite3, struct, subprocess, sys, threading, time
def other(code, *args, **options):
    head = "import errno, fcntl, os, sqlite3, struct, sys, time\ndef tried(f, *args):\n    try: return f(*args)\n    except OSError as e: return errno.errorcode[e.errno]\n"
    return subprocess.Popen([sys.executable, "-c", head + code, *args], stdin=-1, stdout=-1, text=True, **options)
def says(code, *args, **options): return other(code, *args, **options).communicate()[0].strip()
POSIX = "f = open('l', 'r+'); print(tried(fcntl.lockf, f, fcntl.LOCK_EX | fcntl.LOCK_NB), tried(fcntl.lockf, f, fcntl.LOCK_SH | fcntl.LOCK_NB))"
BSD = "f = open('l', 'r+'); print(tried(fcntl.flock, f, fcntl.LOCK_EX | fcntl.LOCK_NB), tried(fcntl.flock, f, fcntl.LOCK_SH | fcntl.LOCK_NB))"
f = open("l", "w+"); g = open("l", "r+"); r = open("l"); w = open("l", "a")

# Between processes, of each kind.
print(fcntl.lockf(f, fcntl.LOCK_EX), fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB), says(POSIX), "|", says(BSD))
print(fcntl.lockf(f, fcntl.LOCK_SH), says(POSIX)); print(fcntl.lockf(f, fcntl.LOCK_UN), says(POSIX))
print(fcntl.flock(f, fcntl.LOCK_EX), tried(fcntl.flock, g, fcntl.LOCK_EX | fcntl.LOCK_NB), tried(fcntl.flock, r, fcntl.LOCK_SH | fcntl.LOCK_NB), says(BSD), "|", says(POSIX))
print(fcntl.flock(f, fcntl.LOCK_SH), tried(fcntl.flock, r, fcntl.LOCK_SH | fcntl.LOCK_NB), says(BSD)); fcntl.flock(f, fcntl.LOCK_UN); fcntl.flock(r, fcntl.LOCK_UN); print(says(BSD))
ofd = lambda file, command, kind, start=0, length=0: tried(fcntl.fcntl, file, command, struct.pack("hhqqi4x", kind, 0, start, length, 0))
named = lambda answer: answer if isinstance(answer, str) else struct.unpack("hhqqi4x", answer)[:4]
print(named(ofd(f, 37, fcntl.F_WRLCK)), named(ofd(g, 37, fcntl.F_RDLCK)), named(ofd(f, 37, fcntl.F_UNLCK)), named(ofd(g, 37, fcntl.F_RDLCK)), named(ofd(g, 37, fcntl.F_UNLCK)))

# A descriptor's copies share the lock of flock(2), and it ends with the last of them.
d = os.dup(f.fileno()); fcntl.flock(d, fcntl.LOCK_EX); h = open("l", "r+"); fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB); f.close(); print(says(BSD)); os.close(d); print(says(BSD)); h.close(); f = open("l", "r+")
fcntl.flock(f, fcntl.LOCK_EX); print(says("print(tried(fcntl.flock, int(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB))", str(f.fileno()), pass_fds=[f.fileno()])); fcntl.flock(f, fcntl.LOCK_UN)

# Ranges.
RANGE = "f = open('l', 'r+'); print([tried(fcntl.lockf, f, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, n) for n in range(12)])"
fcntl.lockf(f, fcntl.LOCK_EX, 10, 0); fcntl.lockf(f, fcntl.LOCK_UN, 2, 4); fcntl.lockf(f, fcntl.LOCK_SH, 1, 8); print(says(RANGE))
ASK = "f = open('l', 'r+'); print([struct.unpack('hhqqi4x', fcntl.fcntl(f, fcntl.F_GETLK, struct.pack('hhqqi4x', kind, 0, start, length, 0)))[:4] + (struct.unpack('hhqqi4x', fcntl.fcntl(f, fcntl.F_GETLK, struct.pack('hhqqi4x', kind, 0, start, length, 0)))[4] == os.getppid(),) for kind, start, length in ((fcntl.F_WRLCK, 3, 9), (fcntl.F_WRLCK, 6, 1), (fcntl.F_RDLCK, 8, 1), (fcntl.F_WRLCK, 8, 1), (fcntl.F_WRLCK, 10, 0))])"
print(says(ASK)); fcntl.lockf(f, fcntl.LOCK_UN)
f.write("0123456789"); f.flush(); f.seek(4); fcntl.lockf(f, fcntl.LOCK_EX, 2, 0, os.SEEK_CUR); fcntl.lockf(f, fcntl.LOCK_EX, 1, -1, os.SEEK_END); fcntl.fcntl(f, fcntl.F_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 2, -1, 0)); print(says(RANGE)); fcntl.lockf(f, fcntl.LOCK_UN)

# What cannot be.
null = os.open("/dev/null", os.O_RDWR); p, q = os.pipe()
print(tried(fcntl.lockf, r, fcntl.LOCK_EX), tried(fcntl.lockf, w, fcntl.LOCK_SH), tried(fcntl.lockf, r, fcntl.LOCK_SH), tried(fcntl.lockf, 99, fcntl.LOCK_SH), tried(fcntl.lockf, f, fcntl.LOCK_EX, 1, -20, os.SEEK_END), tried(fcntl.lockf, null, fcntl.LOCK_EX))
print(*(ofd(f, fcntl.F_SETLK, kind, start, length) if isinstance(ofd(f, fcntl.F_SETLK, kind, start, length), str) else "taken" for kind, start, length in ((7, 0, 0), (fcntl.F_WRLCK, -1, 0), (fcntl.F_WRLCK, 5, -9), (fcntl.F_WRLCK, 5, 2**63 - 1), (fcntl.F_WRLCK, 5, 2**63 - 5), (fcntl.F_UNLCK, 0, 0))))
print(tried(fcntl.fcntl, f, fcntl.F_GETLK, struct.pack("hhqqi4x", fcntl.F_UNLCK, 0, 0, 0, 0)))

# Waiting, until it is given up, its owner closes the file, or ends.
HOLD = "f = open('l', 'r+'); getattr(fcntl, sys.argv[1])(f, fcntl.LOCK_EX); print('held', flush=True); input(); "
for kind in ("lockf", "flock"):
    for end in ("getattr(fcntl, sys.argv[1])(f, fcntl.LOCK_UN)", "f.close()", "os._exit(0)", "os.kill(os.getpid(), 9)"):
        holder = other(HOLD + end + "; input()", kind); holder.stdout.readline(); order = []
        t = threading.Thread(target=lambda: (getattr(fcntl, kind)(f, fcntl.LOCK_EX), order.append("taken"))); t.start(); order.append("waits"); holder.stdin.write("\n"); holder.stdin.flush(); t.join(); print(order, getattr(fcntl, kind)(f, fcntl.LOCK_UN)); tried(holder.communicate, "\n")
class Stop(Exception): pass
def stop(*_): raise Stop
holder = other(HOLD, "lockf"); holder.stdout.readline(); signal.signal(signal.SIGALRM, stop); signal.setitimer(signal.ITIMER_REAL, 0.02)
try: fcntl.lockf(f, fcntl.LOCK_EX)
except Stop: print("interrupted")
holder.communicate("\n")

# A database that two of them write.
db = sqlite3.connect("db"); db.execute("create table t(a, b)"); db.commit(); db.execute("begin immediate"); db.execute("insert into t values (0, 0)")
WRITE = "c = sqlite3.connect('db', timeout=float(sys.argv[1]))\ntry:\n    for i in range(20): c.execute('insert into t values (?, ?)', (os.getpid(), i)); c.commit()\nexcept sqlite3.OperationalError as e: print(e)"
print(says(WRITE, "0")); db.commit(); ps = [other(WRITE, "60") for _ in range(3)]; print([p.communicate()[0] for p in ps], db.execute("select count(*), count(distinct a) from t").fetchone(), db.execute("pragma integrity_check").fetchone())
