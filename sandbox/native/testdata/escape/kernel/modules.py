# tries: to load a module and another kernel
# layer: the filter refuses or does not know the calls
# prints: EPERM EPERM ENOSYS ENOSYS ENOSYS
# open: otherwise
# bare: not run: as root it would come far
print(call("init_module", 0, 0, b"\0"), call("finit_module", 99, b"\0", 0), call("delete_module", b"x\0", 0), call("kexec_load", 0, 0, 0, 0), call("kexec_file_load", 99, 99, 0, b"\0", 0))
