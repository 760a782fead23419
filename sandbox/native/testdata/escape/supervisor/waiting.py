# tries: to wait for processes that are not its own, and with options that there are not
# layer: the supervisor knows the script's own children alone
# prints: ECHILD ECHILD ECHILD EINVAL
# bare: ECHILD ECHILD ECHILD EINVAL
print(call("wait4", GATEWAY, 0, 0, 0), call("wait4", 0xFFFFFFFF, 0, 0, 0), call("wait4", 1 << 22, 0, 1, 0), call("wait4", 0xFFFFFFFF, 0, 0x100, 0))
