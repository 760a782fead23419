# tries: to load a program into the kernel and to watch other processes
# layer: the filter refuses bpf(2) and perf_event_open(2)
# prints: EPERM EPERM
# bare: EINVAL EFAULT
print(call("bpf", 99, 0, 0), call("perf_event_open", 8, 0, 0xFFFFFFFF, 0xFFFFFFFF, 0))
