# package: sosreport
# needs: /usr/lib/python3/dist-packages/sos/report/__init__.py
# The list of what sos would collect.
import configparser, contextlib, io, shlex, sys, types

sys.path.append("/usr/lib/python3/dist-packages")
# What Python 3.14 has not any more, and this sos asks for.
sys.modules["pipes"] = shlex
sys.modules["distutils"] = types.ModuleType("distutils")
version = sys.modules["distutils.version"] = types.ModuleType("distutils.version")
version.LooseVersion = str
configparser.RawConfigParser.readfp = configparser.RawConfigParser.read_file
from sos import SoS

said = io.StringIO()
try:
    with contextlib.redirect_stdout(said):
        SoS(["report", "--list-plugins", "--batch", "--tmp-dir", "/tmp"]).execute()
except SystemExit as end:
    print("ends with", end.code)
# Which of them are enabled depends on devices and files that the view may not have.
plugins = {line.split()[0] for line in said.getvalue().splitlines() if line.startswith(" ")}
print(len(plugins) > 100, *sorted(plugins), sep="\n")
