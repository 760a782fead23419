/* Stand before an ordinary PyPy: its C library calls become questions of protocol 20001, as a sandboxed build's are.
 *
 * This program defines the functions that a sandboxed executable asks about: those of calls.c, which the test generates from
 * functions.txt, and those below. It is linked with PyPy's shared library, whose calls the dynamic linker then leads here. The
 * interpreter and what it asks, in which order and with which arguments, are real; the framing is this directory's.
 */

#define _GNU_SOURCE
#define REAL_READ __read
#define REAL_WRITE __write
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

extern ssize_t __read(int, void *, size_t), __write(int, const void *, size_t);

#include "protocol.h"

static int describe; /* say what this is at the first question, and end */

long ask(const char *name, int n, const long *args)
{
	if (describe) {
		static const char text[] = "Version: 20001\nPlatform: linux\nFuncs: " FUNCTIONS "\n";
		put(text, sizeof text - 1);
		_Exit(0);
	}
	return (long)call(name, n, (const word *)args);
}

#define ASK(name, ...) ask(name, (int)(sizeof(long[]){__VA_ARGS__} / sizeof(long)), (long[]){__VA_ARGS__})

/* Where PyPy has a helper in C around fcntl, dup3 or sysconf, the sandboxed build asks for the helper. */

int fcntl(int fd, int command, ...)
{
	va_list list;
	va_start(list, command);
	long arg = va_arg(list, long);
	va_end(list);
	switch (command) {
	case F_GETFD:
		return ASK("rpy_get_inheritable(i)i", fd) ? 0 : FD_CLOEXEC;
	case F_SETFD:
		return (int)ASK("rpy_set_inheritable(ii)i", fd, !(arg & FD_CLOEXEC));
	case F_GETFL:
		return (int)ASK("rpy_get_status_flags(i)i", fd);
	case F_SETFL:
		return (int)ASK("rpy_set_status_flags(ii)i", fd, (int)arg);
	case F_DUPFD:
	case F_DUPFD_CLOEXEC:
		return (int)ASK("rpy_dup_noninheritable(i)i", fd);
	}
	errno = ENOSYS;
	return -1;
}

int fcntl64(int fd, int command, ...) __attribute__((alias("fcntl")));

int dup3(int from, int to, int flags)
{
	return (int)ASK("rpy_dup2_noninheritable(ii)i", from, to);
}

long sysconf(int name)
{
	return name == _SC_NPROCESSORS_ONLN ? ask("rpy_cpu_count()i", 0, NULL) : ASK("sysconf(i)i", name);
}

long __sysconf(int name) __attribute__((alias("sysconf")));

int fileno(FILE *file)
{
	return (int)ASK("fileno(p)i", file == stdout ? ask("get_stdout()p", 0, NULL) : (long)file);
}

void _exit(int status)
{
	ASK("_exit(i)v", status);
	_Exit(125);
}

/* getrandom, as far as the interpreter knows: a sandboxed one reads /dev/urandom. */
long syscall(long number, ...)
{
	errno = ENOSYS;
	return -1;
}

/* The interpreter's environment is the controller's answer. The C library keeps its own, for TZ. */
char **environ;
extern char **__environ;

extern int pypy_main_startup(int, char **);

int main(int argc, char **argv)
{
	for (char **e = __environ; *e; e++)
		describe |= !strcmp(*e, "RPY_SANDBOX_DUMP=1");
	environ = (char **)ask("get_environ()p", 0, NULL);
	char **args = calloc((size_t)argc + 3, sizeof *args);
	args[0] = argv[0], args[1] = "--jit", args[2] = "off"; /* no memory becomes executable */
	memcpy(args + 3, argv + 1, (size_t)argc * sizeof *args);
	return pypy_main_startup(argc + 2, args);
}
