# tries: to leave its session or move to another group, where kill(2) would reach others
# layer: the filter refuses setsid(2) and setpgid(2)
# prints: EPERM EPERM EPERM
# bare: not run: it depends on who leads
print(call("setsid"), call("setpgid", 0, 0), call("setpgid", 0, GATEWAY))
