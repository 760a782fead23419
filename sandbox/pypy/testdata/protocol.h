/* The child's side of protocol 20001: ask the controller over standard output, and do what it answers on standard input. */

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef REAL_READ
#define REAL_READ read
#define REAL_WRITE write
#endif

typedef uint64_t word;

static void take(void *p, size_t n)
{
	static char block[1 << 16];
	static size_t at, have;
	for (char *to = p; n > 0;) {
		if (at == have) {
			ssize_t got = REAL_READ(0, block, sizeof block);
			if (got <= 0)
				_Exit(125);
			at = 0, have = (size_t)got;
		}
		size_t some = n < have - at ? n : have - at;
		memcpy(to, block + at, some);
		to += some, at += some, n -= some;
	}
}

static void put(const void *p, size_t n)
{
	for (const char *at = p; n > 0;) {
		ssize_t done = REAL_WRITE(1, at, n);
		if (done <= 0)
			_Exit(125);
		at += done, n -= (size_t)done;
	}
}

static word take_word(void)
{
	word w;
	take(&w, sizeof w);
	return w;
}

/* call asks for a function, named with its types, and returns its result. errno is what the controller says of it, or stays. */
static word call(const char *name, int n, const word *args)
{
	int said = errno;
	char request[512];
	size_t size = strlen(name), words = sizeof(word) * (size_t)n;
	request[0] = (char)size;
	memcpy(request + 1, name, size);
	memcpy(request + 1 + size, args, words);
	put(request, 1 + size + words);
	for (;;) {
		char letter;
		word address, length;
		take(&letter, 1);
		switch (letter) {
		case 'R':
			address = take_word(), length = take_word();
			put((void *)address, length);
			break;
		case 'Z':
			address = take_word(), length = take_word();
			length = strnlen((char *)address, length);
			put(&length, sizeof length);
			put((void *)address, length);
			break;
		case 'W':
			address = take_word(), length = take_word();
			take((void *)address, length);
			break;
		case 'M':
			length = take_word();
			address = (word)malloc(length ? length : 1);
			take((void *)address, length);
			put(&address, sizeof address);
			break;
		case 'F':
			free((void *)take_word());
			break;
		case 'E':
			take(&said, 4);
			break;
		case 'v':
			errno = said;
			return 0;
		case 'i':
		case 'p':
			address = take_word();
			errno = said;
			return address;
		default:
			abort();
		}
	}
}
