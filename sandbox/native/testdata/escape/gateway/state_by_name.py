# tries: to read files that belong to the gateway: its runtime, its database, its keys
# layer: what is not shown does not exist
# prints: ENOENT
# open: otherwise
# bare: not run: it depends on where the gateway is installed
names = ("/var/lib/shannot-gateway", "/root/.cache/shannot-gateway", f"/proc/{GATEWAY}/cwd/go.mod", f"/proc/{GATEWAY}/root/root")
print(*{outcome(os.listdir, n) for n in names})
