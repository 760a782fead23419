# tries: to change settings of the kernel through /proc and /sys
# layer: files of the host are never opened for writing: the view keeps what is written
# prints: True
# itself: the test compares the settings of the host afterwards
# bare: not run: as root it would
names = "/proc/sys/kernel/core_pattern /proc/sysrq-trigger /proc/sys/kernel/hostname /sys/kernel/mm/transparent_hugepage/enabled /proc/sys/kernel/modprobe"
def write(n):
    with open(n, "w") as f: f.write("|/tmp/x")
outcomes = {outcome(write, n) for n in names.split()}
print(outcomes <= {"DONE", "EACCES", "ENOENT", "EROFS", "EPERM"})
