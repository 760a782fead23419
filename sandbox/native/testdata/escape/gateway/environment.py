# tries: to read the environment of the gateway and of another process, by each name
# layer: hidden by default
# prints: EACCES
# bare: DONE
print(*{outcome(os.open, n, os.O_RDONLY) for n in (f"/proc/{VICTIM}/environ", f"/proc/{VICTIM}/task/{VICTIM}/environ", f"/proc/{GATEWAY}/environ", f"/proc//{GATEWAY}/./environ")})
