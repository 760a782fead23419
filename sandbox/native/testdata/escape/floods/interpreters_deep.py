# tries: a fork bomb of interpreters, each by the one before
# layer: depth is bounded, and interpreters are counted
# prints: True
# itself: it compares the depth with both bounds
# slow
# bare: not run: it would be one
import subprocess
code = '''
import subprocess, sys
try: subprocess.run([sys.executable, "-c", sys.argv[1], sys.argv[1], str(int(sys.argv[2]) + 1)])
except BlockingIOError: print(sys.argv[2])
'''
print(2 < int(subprocess.run([sys.executable, "-c", code, code, "1"], stdout=-1).stdout) < 20)
