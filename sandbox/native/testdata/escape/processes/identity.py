# tries: to change user and groups in every way there is
# layer: the filter refuses each
# prints: EPERM EPERM EPERM EPERM EPERM EPERM EPERM EPERM EPERM
# open: otherwise
# bare: not run: as root it would
print(call("setuid", 0), call("setgid", 0), call("setreuid", 0, 0), call("setregid", 0, 0), call("setresuid", 0, 0, 0),
      call("setresgid", 0, 0, 0), call("setgroups", 0, 0), call("setfsuid", 0), call("setfsgid", 0))
