# package: ansible-core
# needs: /usr/lib/python3/dist-packages/ansible/modules/setup.py
# Modules of Ansible, each as its own program. What they say depends on the moment; that they end well, and of what they tell, does not.
import contextlib, io, json, runpy, sys

sys.path.append("/usr/lib/python3/dist-packages")
from ansible.module_utils import basic

basic.AnsibleModule._log_to_syslog = lambda *args: None
for name, arguments in (
    ("setup", {}),
    ("command", {"_raw_params": "umask; echo done", "_uses_shell": True}),
    ("command", {"argv": ["no-such-program"]}),
    ("stat", {"path": "/etc/passwd"}),
    ("getent", {"database": "passwd", "key": "root"}),
    ("service_facts", {}),
):
    basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            runpy.run_module("ansible.modules." + name, run_name="__main__")
    except SystemExit as end:
        print(name, "ends with", end.code)
    answer = json.loads(said.getvalue())
    print(sorted(answer), answer.get("failed"), answer.get("rc"), answer.get("stdout"), answer.get("msg"))
    if name == "setup":
        facts = answer["ansible_facts"]
        print([facts.get("ansible_" + f) for f in ("distribution", "architecture", "system", "pkg_mgr", "service_mgr")])
