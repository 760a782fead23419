# tries: to send signals with forged contents
# layer: the filter refuses rt_sigqueueinfo(2) and rt_tgsigqueueinfo(2)
# prints: EPERM EPERM
# bare: EFAULT EFAULT
print(call("rt_sigqueueinfo", VICTIM, 9, 8), call("rt_tgsigqueueinfo", VICTIM, VICTIM, 9, 8))
