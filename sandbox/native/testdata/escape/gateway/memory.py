# tries: to read the gateway's memory, map and stack
# layer: hidden by default; process_vm_readv(2) is refused
# prints: EACCES EPERM
# open: otherwise
# bare: not run: as root it would
names = ("mem", "maps", "smaps", "pagemap", "stack", "syscall", "auxv", "map_files", f"task/{GATEWAY}/mem", f"task/{GATEWAY}/maps")
print(*{outcome(os.open, f"/proc/{GATEWAY}/{n}", os.O_RDONLY) for n in names}, call("process_vm_readv", GATEWAY, 0, 0, 0, 0, 0))
