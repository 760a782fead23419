# tries: to start a command in a directory that is not shown
# layer: the view resolves a working directory
# prints: ENOENT
# bare: not run: it is about the policy
import subprocess
print(outcome(subprocess.run, ["ls"], cwd=os.path.dirname(SECRET) + "/here"))
