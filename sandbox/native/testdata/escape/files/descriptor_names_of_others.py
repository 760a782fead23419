# tries: to open descriptors of the gateway and of another process by their names in /proc
# layer: hidden by default
# prints: EACCES DONE
# itself: its own descriptor it opens by such a name
# bare: not run: it depends on whose processes these are
print(*{outcome(os.open, f"/proc/{pid}/{n}", os.O_RDONLY) for pid in (GATEWAY, VICTIM) for n in ("fd", "fd/0", "fd/1", "fdinfo/0", f"task/{pid}/fd/0")},
      outcome(os.open, f"/proc/{os.getpid()}/fd/0", os.O_RDONLY))
