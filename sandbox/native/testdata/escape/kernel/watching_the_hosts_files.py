# tries: to be told what others do to files of the host
# layer: the filter does not know inotify and fanotify, and refuses F_NOTIFY
# prints: ENOSYS ENOSYS EINVAL
# open: otherwise
# bare: not run: it depends on limits of the host
import fcntl
print(call("inotify_init1", 0), call("fanotify_init", 0, 0), outcome(fcntl.fcntl, os.open(SHOWN, os.O_RDONLY), fcntl.F_NOTIFY, 1))
