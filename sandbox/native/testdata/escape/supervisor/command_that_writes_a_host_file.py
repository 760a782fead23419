# tries: to have a command write to a host file through a descriptor for reading
# layer: a descriptor is used as the script could itself
# prints: EBADF
# bare: not run: it is about the supervisor
import subprocess
print(outcome(subprocess.run, ["echo", "evil"], stdout=os.open(SHOWN + "/file", os.O_RDONLY)))
