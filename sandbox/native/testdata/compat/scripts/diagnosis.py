import asyncio, gzip, ipaddress, glob, platform, pwd, grp, re, resource, shutil, socket, struct, subprocess, time, tracemalloc, cProfile, faulthandler, ssl, http.client, urllib.request
read = lambda *p: text(os.path.join(*p))

# The network as /proc and /sys tell it.
tcp = [line.split() for line in read("/proc/net/tcp").splitlines()[1:]]
print(all(ipaddress.ip_address(struct.pack("<I", int(f[1].split(":")[0], 16))) and int(f[3], 16) < 13 for f in tcp), read("/proc/net/dev").count("lo:"), read("/proc/net/route").startswith("Iface"))
lo = "/sys/class/net/lo"; print(os.path.realpath(lo), read(lo, "mtu"), read(lo, "address"), int(read(lo, "statistics/rx_bytes")) >= 0, "lo" in os.listdir("/sys/class/net"), tried(read, lo, "speed"), sorted(tried(os.listdir, lo + "/queues")))

# Processes, as ps and top find them.
own = str(os.getpid()); told = {}
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        stat_line = read("/proc", pid, "stat"); name, rest = stat_line[stat_line.index("(") + 1:stat_line.rindex(")")], stat_line[stat_line.rindex(")") + 2:].split()
        status = dict(line.split(":", 1) for line in read("/proc", pid, "status").splitlines() if ":" in line)
        told[pid] = name, rest[0], int(rest[1]), int(status["Uid"].split()[0]), int(read("/proc", pid, "statm").split()[0]) >= 0, read("/proc", pid, "cmdline").split("\0")[0]
    except (FileNotFoundError, ProcessLookupError): pass
print(told["1"][2:4], own in told, told[own][1], told[own][4], len(told) > 1, os.listdir(f"/proc/{own}/task") == [own], open(f"/proc/{own}/comm").read().strip() == told[own][0])
print(len(read("/proc/loadavg").split()), os.getloadavg()[0] >= 0, read("/proc/cpuinfo").count("processor\t") > 0, os.cpu_count() > 0, int(re.search(r"MemTotal: +(\d+)", read("/proc/meminfo"))[1]) > 0, os.sysconf("SC_PHYS_PAGES") > 0, float(read("/proc/uptime").split()[0]) > 0, read("/proc/sys/kernel/ostype"), end="")

# File systems, as df and mount.
mounts = [line.split() for line in read("/proc/mounts").splitlines()]; print("/proc" in [m[1] for m in mounts], tried(lambda: shutil.disk_usage("/").total > 0), shutil.disk_usage("/proc").total, os.statvfs("/etc").f_namemax > 0, os.path.ismount("/proc"), os.path.ismount("/etc"), read("/proc/filesystems").count("proc") > 0)
print(stat.filemode(os.stat("/etc/passwd").st_mode), os.access("/etc/passwd", os.R_OK), os.path.samefile("/bin/sh", os.path.realpath("/bin/sh")), len(glob.glob("/etc/**/*.conf", recursive=True)) > 0, tried(os.stat, "/no/such"), tried(os.listdir, "/etc/passwd"))

# Who and where.
print(pwd.getpwnam("root").pw_uid, pwd.getpwuid(0).pw_name, grp.getgrgid(0).gr_name, len(pwd.getpwall()) > 1, platform.freedesktop_os_release()["ID"] in read("/etc/os-release"), platform.libc_ver()[0], platform.python_implementation(), socket.gethostname() == platform.node() == os.uname().nodename)
print(socket.gethostbyname("localhost"), socket.getservbyname("ssh") if os.path.exists("/etc/services") else 22, len(time.tzname), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 0, os.times().user >= 0, os.sysconf("SC_CLK_TCK"), os.pathconf("/", "PC_NAME_MAX"), resource.getpagesize() == os.sysconf("SC_PAGE_SIZE"))
print(urllib.request.urlopen("file:///etc/hostname").read().decode() == read("/etc/hostname"), ssl.create_default_context().check_hostname, http.client.responses[404])

# Logs that were rotated.
os.mkdir("log"); line = "Jan  1 00:00:00 host sshd[1]: Failed password for root from 10.0.0.%d\n"
for n in range(3): (gzip.open(f"log/auth.{n}.gz", "wt") if n else open("log/auth.log", "w")).write("".join(line % (i % 5) for i in range(500)))
found = {}
for name in sorted(glob.glob("log/auth*")):
    with (gzip.open(name, "rt") if name.endswith("gz") else open(name)) as f:
        for l in f: address = re.search(r"from (\S+)", l)[1]; found[address] = found.get(address, 0) + 1
print(found); f = open("log/auth.log", "rb"); f.seek(-20, os.SEEK_END); print(f.read().decode().split()[-1])

# Commands in a row, as a shell's pipe, and beside each other.
a = subprocess.Popen(["cat", "/etc/passwd"], stdout=-1); b = subprocess.Popen(["grep", "^root:"], stdin=a.stdout, stdout=-1); c = subprocess.Popen(["cut", "-d:", "-f3"], stdin=b.stdout, stdout=-1, text=True); a.stdout.close(); b.stdout.close(); print(c.communicate(), a.wait(), b.wait())
async def main():
    ps = [await asyncio.create_subprocess_shell(f"echo {n}; exit {n}", stdout=-1) for n in range(3)]; print([((await p.communicate())[0], p.returncode) for p in ps])
    try: await asyncio.wait_for(asyncio.create_subprocess_exec("true"), 20); print("started")
    except TimeoutError: print("late")
asyncio.run(main())

# Looking at itself.
tracemalloc.start(); kept = bytes(100_000); print(tracemalloc.get_traced_memory()[0] > 90_000); tracemalloc.stop(); p = cProfile.Profile(); p.runcall(sum, range(9)); print(len(p.getstats()) > 0)
with open("dump", "w") as f: faulthandler.dump_traceback(f)
print("File" in text("dump"))
