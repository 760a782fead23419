# tries: to open devices that lead somewhere
# layer: the view has none but those that lead nowhere
# prints: ENOENT
# open: otherwise
# bare: not run: as root it would open them
names = "sda nvme0n1 vda mem kmem port kmsg kvm fuse net/tun vhost-net ptmx pts/0 tty0 console uinput loop-control mapper/control vsock snapshot watchdog"
print(*{outcome(os.open, "/dev/" + n, flags) for n in names.split() for flags in (os.O_RDONLY, os.O_RDWR)})
