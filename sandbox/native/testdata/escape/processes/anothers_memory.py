# tries: to read and write another process's memory, and its own this way
# layer: the filter refuses process_vm_readv(2) and process_vm_writev(2)
# prints: EPERM EPERM EPERM
# bare: OK OK OK
print(call("process_vm_readv", VICTIM, 0, 0, 0, 0, 0), call("process_vm_writev", VICTIM, 0, 0, 0, 0, 0),
      call("process_vm_readv", os.getpid(), 0, 0, 0, 0, 0))
