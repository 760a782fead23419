# tries: to take a better place in the scheduler, for itself or against others
# layer: the filter refuses or does not know the calls
# prints: EACCES ENOSYS ENOSYS ENOSYS
# open: otherwise
# bare: not run: as root it would
print(call("setpriority", 0, 0, -20 & 0xFFFFFFFFFFFFFFFF), call("sched_setscheduler", 0, 1, 8), call("sched_setaffinity", 0, 8, 8), call("ioprio_set", 1, 0, 0))
