"""multiprocessing.pool.ThreadPool for an interpreter with one thread: what it is given is done at once."""


class AsyncResult(object):
    """What a call came to."""

    def __init__(self, function, args, kwds, callback, error_callback):
        self._error = self._value = None
        try:
            self._value = function(*args, **kwds)
        except Exception as error:
            self._error = error
        after = callback if self._error is None else error_callback
        if after is not None:
            after(self._value if self._error is None else self._error)

    def get(self, timeout=None):
        if self._error is not None:
            raise self._error
        return self._value

    def wait(self, timeout=None):
        pass

    def ready(self):
        return True

    def successful(self):
        return self._error is None


class ThreadPool(object):
    def __init__(self, processes=None, initializer=None, initargs=()):
        if processes is not None and processes < 1:
            raise ValueError("Number of processes must be at least 1")
        self._open = True
        if initializer is not None:
            initializer(*initargs)

    def _begin(self):
        if not self._open:
            raise ValueError("Pool not running")

    def apply(self, func, args=(), kwds={}):
        return self.apply_async(func, args, kwds).get()

    def apply_async(self, func, args=(), kwds={}, callback=None, error_callback=None):
        self._begin()
        return AsyncResult(func, args, kwds, callback, error_callback)

    def map(self, func, iterable, chunksize=None):
        return self.map_async(func, iterable).get()

    def map_async(self, func, iterable, chunksize=None, callback=None, error_callback=None):
        return self.apply_async(lambda: [func(item) for item in iterable], (), {}, callback, error_callback)

    def starmap(self, func, iterable, chunksize=None):
        return self.starmap_async(func, iterable).get()

    def starmap_async(self, func, iterable, chunksize=None, callback=None, error_callback=None):
        return self.apply_async(lambda: [func(*items) for items in iterable], (), {}, callback, error_callback)

    def imap(self, func, iterable, chunksize=1):
        self._begin()
        return (func(item) for item in list(iterable))

    imap_unordered = imap

    def close(self):
        self._open = False

    terminate = close

    def join(self):
        if self._open:
            raise ValueError("Pool is still running")

    def __enter__(self):
        self._begin()
        return self

    def __exit__(self, *args):
        self.terminate()
