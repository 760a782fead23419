# tries: a command with an environment beyond what the kernel takes
# layer: the guest refuses it as execve(2) would; a frame has a bound
# prints: E2BIG
# bare: E2BIG
import subprocess
print(outcome(subprocess.run, ["/bin/true"], env={f"K{i}": "x" * 1000 for i in range(20_000)}))
