/* Stand in for a pypy-sandbox executable: a program that speaks protocol 20001 over its standard streams and understands
 * a few words instead of Python, one a line, from -c or from the controlled standard input:
 *
 *	print('TEXT')   say TEXT            cat PATH    say what a file holds      exit N    end with a status
 *	write PATH TEXT make a file               system TEXT have a shell command run, and say its wait status
 *	zone N          the local time of N seconds, by this program's own C library
 *	real PATH       open a file by a system call of its own, and say how that went
 *	fatal TEXT      say TEXT on the real standard error and abort
 *	crash, loop, eat, garbage, fork
 */

#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>

#include "protocol.h"

static void say(const char *text)
{
	word args[] = {1, (word)text, strlen(text)};
	call("write(ipi)i", 3, args);
}

static void cat(const char *path)
{
	static char block[4096];
	word args[] = {(word)path, 0, 0};
	int64_t fd = (int64_t)call("open(pii)i", 3, args);
	if (fd < 0) {
		snprintf(block, sizeof block, "errno %d\n", errno);
		say(block);
		return;
	}
	for (;;) {
		word more[] = {(word)fd, (word)block, sizeof block - 1};
		int64_t n = (int64_t)call("read(ipi)i", 3, more);
		if (n <= 0)
			return;
		block[n] = 0;
		say(block);
	}
}

static void write_file(const char *path, const char *text)
{
	word args[] = {(word)path, O_WRONLY | O_CREAT | O_TRUNC, 0644};
	int64_t fd = (int64_t)call("open(pii)i", 3, args);
	if (fd < 0) {
		say("not written\n");
		return;
	}
	word more[] = {(word)fd, (word)text, strlen(text)}, last[] = {(word)fd};
	call("write(ipi)i", 3, more);
	call("close(i)i", 1, last);
}

static volatile int spin = 1;

static void obey(char *line)
{
	static char text[512];
	char *word_ = strsep(&line, " ("), *rest = line ? line : (char *)"";
	if (!strcmp(word_, "print")) {
		rest[strlen(rest) - 2] = 0; /* ') */
		snprintf(text, sizeof text, "%s\n", rest + 1);
		say(text);
	} else if (!strcmp(word_, "cat")) {
		cat(rest);
	} else if (!strcmp(word_, "write")) {
		char *path = strsep(&rest, " ");
		write_file(path, rest ? rest : "");
	} else if (!strcmp(word_, "system")) {
		word args[] = {(word)rest};
		snprintf(text, sizeof text, "status %d\n", (int)call("system(p)i", 1, args));
		say(text);
	} else if (!strcmp(word_, "exit")) {
		exit(atoi(rest));
	} else if (!strcmp(word_, "zone")) {
		time_t t = atoll(rest);
		strftime(text, sizeof text, "%H:%M %Z\n", localtime(&t));
		say(text);
	} else if (!strcmp(word_, "real")) {
		long fd = syscall(SYS_openat, AT_FDCWD, rest, O_RDONLY);
		snprintf(text, sizeof text, "%ld errno %d\n", fd, fd < 0 ? errno : 0);
		say(text);
	} else if (!strcmp(word_, "fork")) {
		long pid = syscall(SYS_clone, 17, 0, 0, 0, 0);
		snprintf(text, sizeof text, "%ld errno %d\n", pid, errno);
		say(text);
	} else if (!strcmp(word_, "fatal")) {
		dprintf(2, "%s\n", rest);
		abort();
	} else if (!strcmp(word_, "crash")) {
		word args[] = {8, 8};
		call("stat64(pp)i", 2, args);
	} else if (!strcmp(word_, "loop")) {
		while (spin)
			;
	} else if (!strcmp(word_, "eat")) {
		for (;;) {
			char *p = malloc(1 << 20);
			if (!p) {
				dprintf(2, "out of memory: couldn't allocate the next arena\n");
				abort();
			}
			memset(p, 1, 1 << 20);
		}
	} else if (!strcmp(word_, "garbage")) {
		put("\0garbage", 8);
		sleep(60);
	}
}

int main(int argc, char **argv)
{
	if (getenv("RPY_SANDBOX_DUMP")) {
		const char *version = getenv("DOUBLE_VERSION");
		char text[512];
		snprintf(text, sizeof text, "Version: %s\nPlatform: linux\nFuncs: open(pii)i read(ipi)i stat64(pp)i write(ipi)i%s\n",
			version ? version : VERSION, EXTRA);
		put(text, strlen(text));
		return 0;
	}
	char *code = NULL;
	for (int i = 1; i + 1 < argc; i++)
		if (!strcmp(argv[i], "-c"))
			code = argv[i + 1];
	static char script[1 << 16];
	if (!code) {
		size_t have = 0;
		for (;;) {
			word args[] = {0, (word)(script + have), sizeof script - 1 - have};
			int64_t n = (int64_t)call("read(ipi)i", 3, args);
			if (n <= 0)
				break;
			have += (size_t)n;
		}
		code = script;
	}
	for (char *line; (line = strsep(&code, "\n"));)
		obey(line);
	return 0;
}
