# tries: to kill the gateway, by number and past the os module
# layer: the supervisor refuses it, and says of a number that no process has that none has it
# prints: EPERM EPERM ESRCH
# bare: OK OK ESRCH
print(call("kill", GATEWAY, SIGNAL), call("kill", GATEWAY | 1 << 32, SIGNAL), call("kill", 0x7FFFFFFF, SIGNAL))
