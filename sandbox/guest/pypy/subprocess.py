"""Start commands through the gateway, where a human may have to decide first.

This module stands in for the standard one, which forks. It has the same names; what Python 3.7 added to run and Popen
(capture_output, text) is here too. Starting returns when the command runs; a refusal is a PermissionError.
"""

import io
import os
import time

import _shannot

__all__ = [
    "Popen", "PIPE", "STDOUT", "DEVNULL", "call", "check_call", "check_output", "run", "getoutput", "getstatusoutput",
    "CalledProcessError", "TimeoutExpired", "SubprocessError", "CompletedProcess",
]

PIPE = -1
STDOUT = -2
DEVNULL = -3

_BLOCK = 65536  # bytes of one read or write of a pipe
_SOON = 1.0  # seconds that a command may take before threads run that have not


class SubprocessError(Exception):
    pass


class _WithOutput(SubprocessError):
    """What a command had printed is in output, and by a second name in stdout."""

    output = None

    @property
    def stdout(self):
        return self.output

    @stdout.setter
    def stdout(self, value):
        self.output = value


class CalledProcessError(_WithOutput):
    """A command that was checked ended with a status other than 0."""

    def __init__(self, returncode, cmd, output=None, stderr=None):
        self.returncode = returncode
        self.cmd = cmd
        self.output = output
        self.stderr = stderr

    def __str__(self):
        if self.returncode and self.returncode < 0:
            return "Command '%s' died with signal %d." % (self.cmd, -self.returncode)
        return "Command '%s' returned non-zero exit status %d." % (self.cmd, self.returncode)


class TimeoutExpired(_WithOutput):
    """A command did not end in time."""

    def __init__(self, cmd, timeout, output=None, stderr=None):
        self.cmd = cmd
        self.timeout = timeout
        self.output = output
        self.stderr = stderr

    def __str__(self):
        return "Command '%s' timed out after %s seconds" % (self.cmd, self.timeout)


class CompletedProcess(object):
    """How a command that run started has ended."""

    def __init__(self, args, returncode, stdout=None, stderr=None):
        self.args = args
        self.returncode = returncode
        self.stdout = stdout
        self.stderr = stderr

    def __repr__(self):
        parts = ["args=%r" % (self.args,), "returncode=%r" % (self.returncode,)]
        if self.stdout is not None:
            parts.append("stdout=%r" % (self.stdout,))
        if self.stderr is not None:
            parts.append("stderr=%r" % (self.stderr,))
        return "CompletedProcess(%s)" % ", ".join(parts)

    def check_returncode(self):
        if self.returncode:
            raise CalledProcessError(self.returncode, self.args, self.stdout, self.stderr)


class Popen(object):
    """A command that was started."""

    _known = None  # what will be written to its input, where run knows it

    def __init__(
        self,
        args,
        bufsize=-1,
        executable=None,
        stdin=None,
        stdout=None,
        stderr=None,
        preexec_fn=None,
        close_fds=True,
        shell=False,
        cwd=None,
        env=None,
        universal_newlines=None,
        startupinfo=None,
        creationflags=0,
        restore_signals=True,
        start_new_session=False,
        pass_fds=(),
        *,
        encoding=None,
        errors=None,
        text=None
    ):
        self.returncode = None
        self.pid = None
        self.stdin = self.stdout = self.stderr = None
        if preexec_fn is not None:
            raise RuntimeError("preexec_fn cannot work in the Shannot sandbox: commands run on the target, outside it")
        if pass_fds:
            raise NotImplementedError(
                "pass_fds does not work in the Shannot sandbox: a command runs on the target and gets stdin, stdout and"
                " stderr alone"
            )
        if startupinfo is not None or creationflags:
            raise ValueError("startupinfo and creationflags are only supported on Windows platforms")
        if not isinstance(bufsize, int):
            raise TypeError("bufsize must be an integer")
        if text is not None and universal_newlines is not None and bool(universal_newlines) != bool(text):
            raise SubprocessError("Cannot disambiguate when both text and universal_newlines are supplied but different.")
        self.args = args
        self.encoding = encoding
        self.errors = errors
        self.text_mode = bool(encoding or errors or text or universal_newlines)
        self.universal_newlines = self.text_mode
        self._written = 0
        self._input = None
        self._collected = {}
        argv = _arguments(args, shell, executable)
        self._begin(argv, _executables(argv, executable, shell, env), cwd, _environment(env), bufsize, (stdin, stdout, stderr))

    def _begin(self, argv, executables, cwd, env, bufsize, wanted):
        ours, theirs, mine = [None, None, None], [0, 1, 2], []
        try:
            for i, what in enumerate(wanted):
                if what is None:
                    continue
                if what == PIPE:
                    read, write = os.pipe()
                    ours[i], theirs[i] = (write, read) if i == 0 else (read, write)
                    mine.append(theirs[i])
                elif what == STDOUT and i == 2:
                    theirs[2] = theirs[1]
                elif what == DEVNULL:
                    theirs[i] = -1
                elif isinstance(what, int):
                    if what < 0:
                        raise ValueError("%d is no descriptor" % what)
                    theirs[i] = what
                else:
                    theirs[i] = what.fileno()
            known = self._known if wanted[0] == PIPE else None
            self.pid = _shannot.start(argv, executables, env, cwd, theirs[0], theirs[1], theirs[2], known)
        except BaseException:
            for fd in ours:
                if fd is not None:
                    os.close(fd)
            raise
        finally:
            for fd in mine:
                os.close(fd)
        self.stdin = self._stream(ours[0], "wb", bufsize)
        self.stdout = self._stream(ours[1], "rb", bufsize)
        self.stderr = self._stream(ours[2], "rb", bufsize)

    def _stream(self, fd, mode, bufsize):
        if fd is None:
            return None
        if self.text_mode and bufsize == 1:
            binary = io.open(fd, mode)  # line buffering is the text layer's
        else:
            binary = io.open(fd, mode, bufsize)
        if not self.text_mode:
            return binary
        writing = mode == "wb"
        return io.TextIOWrapper(
            binary, encoding=self.encoding or "utf-8", errors=self.errors, line_buffering=writing and bufsize == 1,
            write_through=writing,
        )

    def __repr__(self):
        return "<%s: returncode: %s args: %r>" % (type(self).__name__, self.returncode, self.args)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, traceback):
        for stream in (self.stdout, self.stderr):
            if stream:
                stream.close()
        try:
            if self.stdin:
                self.stdin.close()
        finally:
            self.wait()

    def poll(self):
        """Return the exit status, or None where the command still runs."""
        if self.returncode is None:
            self._reap(os.WNOHANG)
        return self.returncode

    def _reap(self, options):
        try:
            pid, status = os.waitpid(self.pid, options)
        except ChildProcessError:
            self.returncode = 0  # somebody else waited for it, so its status is lost
            return
        if pid == self.pid:
            self.returncode = -(status & 0x7F) if status & 0x7F else status >> 8 & 0xFF

    def wait(self, timeout=None):
        """Wait until the command has ended, and return its exit status."""
        if self.returncode is not None:
            return self.returncode
        if timeout is None:
            self._let_others_run()
            self._reap(0)
            return self.returncode
        end, pause = time.time() + timeout, 0.001
        while self.poll() is None:
            left = end - time.time()
            if left <= 0:
                raise TimeoutExpired(self.args, timeout)
            time.sleep(min(pause, left))
            pause = min(pause * 2, 0.05)
        return self.returncode

    def _let_others_run(self):
        """Where the command does not end soon, have threads read what it prints, which it may wait for."""
        end = time.time() + _SOON
        while _shannot.others and self.poll() is None:
            if time.time() < end:
                getattr(time.sleep, "bare", time.sleep)(0.01)
            else:
                import _thread

                _thread.wait_until(lambda: not _shannot.others)

    def send_signal(self, sig):
        if self.poll() is None:
            os.kill(self.pid, sig)

    def terminate(self):
        self.send_signal(15)

    def kill(self):
        self.send_signal(9)

    def communicate(self, input=None, timeout=None):
        """Write the input, read both outputs to their ends, wait, and return the outputs."""
        if self._input is None:
            self._input = self._encoded(input)
        elif input:
            raise ValueError("Cannot send input after starting communication")
        end = None if timeout is None else time.time() + timeout
        reading = {}
        for stream in (self.stdout, self.stderr):
            if stream is not None and not stream.closed:
                reading[stream.fileno()] = self._collected.setdefault(stream.fileno(), [])
        writing = self._begin_writing()
        while reading or writing is not None:
            left = None if end is None else end - time.time()
            if left is not None and left <= 0:
                raise self._late(timeout)
            ready, able = _shannot.poll(list(reading), [] if writing is None else [writing], left)
            if able and not self._write_some(writing):
                self._close(self.stdin)
                writing = None
            for fd in ready:
                data = os.read(fd, _BLOCK)
                if data:
                    reading[fd].append(data)
                else:
                    del reading[fd]
        try:
            self.wait(None if end is None else max(0, end - time.time()))
        except TimeoutExpired:
            raise self._late(timeout)
        out, err = self._output(self.stdout), self._output(self.stderr)
        for stream in (self.stdout, self.stderr):
            self._close(stream)
        return out, err

    def _encoded(self, input):
        if not input:
            return b""
        if isinstance(input, str):
            if not self.text_mode:
                raise TypeError("a bytes-like object is required, not 'str'")
            return input.encode(self.encoding or "utf-8", self.errors or "strict")
        return bytes(memoryview(input))

    def _begin_writing(self):
        """Make standard input ready for what is left to write, and return its descriptor, or None where nothing is."""
        if self.stdin is None or self.stdin.closed:
            return None
        try:
            self.stdin.flush()
        except BrokenPipeError:
            pass
        if self._written >= len(self._input):
            self._close(self.stdin)
            return None
        os.set_blocking(self.stdin.fileno(), False)
        return self.stdin.fileno()

    def _write_some(self, fd):
        """Write what fits, and report whether there is more to write."""
        try:
            self._written += os.write(fd, self._input[self._written : self._written + _BLOCK])
        except BlockingIOError:
            return True
        except BrokenPipeError:
            return False  # the command does not read it all, which is no error
        return self._written < len(self._input)

    @staticmethod
    def _close(stream):
        if stream is not None:
            try:
                stream.close()
            except BrokenPipeError:
                pass

    def _output(self, stream):
        if stream is None:
            return None
        if stream.closed:
            data = b"".join(self._collected.get(stream, []))
        else:
            data = b"".join(self._collected.pop(stream.fileno(), []))
            self._collected[stream] = [data]
        if not self.text_mode:
            return data
        text = data.decode(self.encoding or "utf-8", self.errors or "strict")
        return text.replace("\r\n", "\n").replace("\r", "\n")

    def _late(self, timeout):
        so_far = []
        for stream in (self.stdout, self.stderr):
            data = None if stream is None or stream.closed else b"".join(self._collected.get(stream.fileno(), []))
            so_far.append(data or None)
        return TimeoutExpired(self.args, timeout, so_far[0], so_far[1])


def _arguments(args, shell, executable):
    if isinstance(args, (str, bytes)):
        args = [args]
    else:
        args = list(args)
    if not args:
        raise IndexError("list index out of range")
    args = [os.fspath(a) for a in args]
    if shell:
        args = ["/bin/sh", "-c"] + args
        if executable:
            args[0] = os.fspath(executable)
    return args


def _executables(argv, executable, shell, env):
    """The paths that are tried in order."""
    name = os.fsencode(executable if executable is not None else argv[0])
    if os.path.dirname(name):
        return [name]
    return [os.path.join(os.fsencode(d), name) for d in os.get_exec_path(env)]


def _environment(env):
    if env is None:
        return [key + b"=" + value for key, value in os.environb.items()]
    out = []
    for key, value in env.items():
        key = os.fsencode(key)
        if b"=" in key:
            raise ValueError("illegal environment variable name")
        out.append(key + b"=" + os.fsencode(value))
    return out


def run(*popenargs, input=None, capture_output=False, timeout=None, check=False, **kwargs):
    """Run a command to its end and return how it ended, with its outputs where they were asked for."""
    if input is not None:
        if kwargs.get("stdin") is not None:
            raise ValueError("stdin and input arguments may not both be used.")
        kwargs["stdin"] = PIPE
    if capture_output:
        if kwargs.get("stdout") is not None or kwargs.get("stderr") is not None:
            raise ValueError("stdout and stderr arguments may not be used with capture_output.")
        kwargs["stdout"] = kwargs["stderr"] = PIPE
    process = Popen.__new__(Popen)
    process._known = _known(input, kwargs)
    process.__init__(*popenargs, **kwargs)
    with process:
        try:
            stdout, stderr = process.communicate(input, timeout=timeout)
        except TimeoutExpired:
            process.kill()
            process.wait()
            raise
        except BaseException:
            process.kill()
            raise
        status = process.poll()
        if check and status:
            raise CalledProcessError(status, process.args, output=stdout, stderr=stderr)
    return CompletedProcess(process.args, status, stdout, stderr)


def _known(input, kwargs):
    """What is about to be written, so that a human can see it before the command starts."""
    if input is None:
        return None
    try:
        if isinstance(input, str):
            data = input.encode(kwargs.get("encoding") or "utf-8", kwargs.get("errors") or "strict")
        else:
            data = bytes(memoryview(input))
    except (TypeError, LookupError, UnicodeError):
        return None
    return data if len(data) <= _shannot.MAX_INPUT else None


def call(*popenargs, timeout=None, **kwargs):
    """Run a command to its end and return its exit status."""
    with Popen(*popenargs, **kwargs) as process:
        try:
            return process.wait(timeout=timeout)
        except BaseException:
            process.kill()
            raise


def check_call(*popenargs, **kwargs):
    """Run a command to its end, and raise CalledProcessError for a status other than 0."""
    status = call(*popenargs, **kwargs)
    if status:
        raise CalledProcessError(status, kwargs.get("args") or popenargs[0])
    return 0


def check_output(*popenargs, timeout=None, **kwargs):
    """Run a command to its end and return its output; raise CalledProcessError for a status other than 0."""
    if "stdout" in kwargs:
        raise ValueError("stdout argument not allowed, it will be overridden.")
    if "input" in kwargs and kwargs["input"] is None:
        kwargs["input"] = "" if kwargs.get("universal_newlines") or kwargs.get("text") else b""
    return run(*popenargs, stdout=PIPE, timeout=timeout, check=True, **kwargs).stdout


def getstatusoutput(cmd):
    """Run a shell command and return its status and what it printed, without the last newline."""
    try:
        data, status = check_output(cmd, shell=True, universal_newlines=True, stderr=STDOUT), 0
    except CalledProcessError as error:
        data, status = error.output, error.returncode
    return status, data[:-1] if data[-1:] == "\n" else data


def getoutput(cmd):
    """Run a shell command and return what it printed, without the last newline."""
    return getstatusoutput(cmd)[1]


def _args_from_interpreter_flags():
    return []  # for multiprocessing, which imports it


def list2cmdline(seq):
    """Join arguments as Windows would, as the standard module does everywhere."""
    result = []
    for arg in map(os.fsdecode, seq):
        quote = not arg or " " in arg or "\t" in arg
        out, slashes = ['"' if quote else ""], 0
        for char in arg:
            if char == "\\":
                slashes += 1
                continue
            out.append("\\" * (2 * slashes + 1 if char == '"' else slashes) + char)
            slashes = 0
        out.append("\\" * (2 * slashes if quote else slashes))
        out.append('"' if quote else "")
        result.append("".join(out))
    return " ".join(result)
