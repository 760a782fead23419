import fcntl
f = open("l", "w+"); print(fcntl.flock(f, fcntl.LOCK_EX), fcntl.flock(f, fcntl.LOCK_UN), fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB), fcntl.lockf(f, fcntl.LOCK_UN))
print(fcntl.fcntl(f, fcntl.F_GETFD), fcntl.fcntl(f, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDWR, fcntl.fcntl(f, fcntl.F_SETFD, 0), os.get_inheritable(f.fileno()))
d = fcntl.fcntl(f, fcntl.F_DUPFD_CLOEXEC, 50); print(d >= 50, os.get_inheritable(d), os.dup2(d, 60), os.path.sameopenfile(60, f.fileno())); os.close(60); os.close(d)
import struct; lock = struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0); print(struct.unpack("hhqqi", fcntl.fcntl(f, fcntl.F_GETLK, lock))[0] == fcntl.F_UNLCK)
r, w = os.pipe(); os.set_blocking(r, False); print(tried(os.read, r, 1), os.write(w, b"x"), os.read(r, 9), fcntl.fcntl(w, fcntl.F_GETPIPE_SZ)); os.close(w); print(os.read(r, 1)); os.close(r); print(tried(fcntl.fcntl, r, fcntl.F_GETFD), tried(fcntl.flock, f, 99) in (None, "EINVAL"))
r, w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
total = 0
while (n := tried(os.write, w, b"x" * 4096)) != "EAGAIN": total += n
print(total); os.close(r)
import signal; signal.signal(signal.SIGPIPE, signal.SIG_IGN); print(tried(os.write, w, b"x"))
print(os.isatty(0), tried(os.ttyname, w), os.stat("/dev/fd/%d" % f.fileno()).st_size, os.fstat(w).st_mode & 0o170000 == stat.S_IFIFO)
f.write("by name"); f.flush(); print(open("/dev/fd/%d" % f.fileno()).read() in ("by name", ""), os.path.basename(os.readlink("/proc/self/fd/%d" % f.fileno())), os.readlink("/proc/self/fd/%d" % w).startswith("pipe:["))
