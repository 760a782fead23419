# tries: to raise limits: its own, by both calls, and another process's
# layer: the filter lets prlimit64(2) read its own limits alone
# prints: EPERM EPERM EPERM
# bare: OK OK OK
unlimited = (ctypes.c_uint64 * 2)(1024, 4096)
import resource
soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
same = (ctypes.c_uint64 * 2)(soft & 0xFFFFFFFFFFFFFFFF, hard & 0xFFFFFFFFFFFFFFFF)
print(call("prlimit64", 0, 7, same, 0), call("prlimit64", os.getpid(), 7, same, 0), call("setrlimit", 7, same))
