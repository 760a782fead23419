# tries: to restart the machine, rename it, set its clock, read its log, swap
# layer: the filter refuses or does not know the calls
# prints: EPERM EPERM ENOSYS EPERM EPERM ENOSYS EPERM EPERM ENOSYS
# open: otherwise
# bare: not run: as root it would
print(call("reboot", 0, 0, 0, 0), call("sethostname", b"x", 1), call("setdomainname", b"x", 1), call("settimeofday", 8, 0),
      call("clock_settime", 0, 8), call("adjtimex", 8), call("syslog", 3, 0, 0), call("swapon", b"/\0", 0), call("acct", 0))
