# tries: to kill a process of the same user
# layer: the supervisor knows commands and interpreters of this script alone
# prints: EPERM
# bare: DONE
print(outcome(os.kill, VICTIM, SIGNAL))
