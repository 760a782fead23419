# tries: a command with arguments beyond what the kernel takes
# layer: the guest refuses it as execve(2) would; a frame has a bound
# prints: E2BIG E2BIG
# slow
# bare: E2BIG E2BIG
import subprocess
print(outcome(subprocess.run, ["/bin/true", *["x" * 100_000] * 100]), outcome(subprocess.run, ["/bin/true"] + ["x"] * 2_000_000))
