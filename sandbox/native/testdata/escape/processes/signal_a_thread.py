# tries: to signal a thread of another process
# layer: the filter lets tgkill(2) name this process alone, and refuses tkill(2)
# prints: EPERM EPERM
# bare: OK OK
print(call("tgkill", VICTIM, VICTIM, SIGNAL), call("tkill", VICTIM, SIGNAL))
