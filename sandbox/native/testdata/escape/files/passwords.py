# tries: to read the host's passwords and keys
# layer: hidden by default
# prints: ENOENT
# open: otherwise
# bare: not run: as root it would
print(*{outcome(os.open, p, os.O_RDONLY) for p in ("/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/ssh/ssh_host_ed25519_key", "/root/.ssh/id_ed25519", "/etc/shadow-")})
