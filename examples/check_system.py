"""Check a host: disks, memory, processes, and whether a temporary file can be made.

    ssh shannot@host < check_system.py
"""

import subprocess


def heading(text):
    print(f"\n== {text}", flush=True)


def command(argv):
    """Run a command on the host and return its output as lines, none where the host lacks the program."""
    try:
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()
    except FileNotFoundError:
        print(f"this host has no {argv[0]}")
        return []


# Looking is allowed: these run at once.
heading("Disk usage: df -h")
for line in command(["df", "-h"])[:6]:
    print(line)

# A file is read through the gateway's read policy; no command runs.
heading("Memory: /proc/meminfo")
with open("/proc/meminfo") as meminfo:
    for _ in range(3):
        print(next(meminfo).rstrip())

heading("Processes with the most memory: ps aux")
processes = command(["ps", "aux"])
memory = sorted(processes[1:], key=lambda line: float(line.split(None, 4)[3]), reverse=True)
for line in processes[:1] + memory[:4]:
    print(line[:78])

# Changing something is not: the script waits here until a human has decided.
heading("Can the host make a temporary file? This needs a human's approval")
try:
    subprocess.run('f=$(mktemp) && echo "made $f" && rm -- "$f" && echo "removed it again"', shell=True, check=True)
except PermissionError as error:
    print(f"not allowed: {error}")
except subprocess.CalledProcessError as error:
    print(f"no: exit status {error.returncode}")
