"""Hashes in pure Python, which is what this interpreter has. What it lacks is refused when it is asked for."""

_MODULES = {
    "md5": "_md5", "sha1": "_sha1", "sha224": "_sha256", "sha256": "_sha256", "sha384": "_sha512", "sha512": "_sha512",
}
_NEWER = ("sha3_224", "sha3_256", "sha3_384", "sha3_512", "shake_128", "shake_256", "blake2b", "blake2s")
_MODULES.update(dict.fromkeys(_NEWER, "_digests"))

algorithms_guaranteed = set(_MODULES)
algorithms_available = set(_MODULES)

__all__ = tuple(_MODULES) + ("new", "algorithms_guaranteed", "algorithms_available", "pbkdf2_hmac")


def _constructor(name):
    lower = name.lower()
    if lower not in _MODULES:
        raise ValueError("unsupported hash type " + name)
    module = __import__(_MODULES[lower])
    make = getattr(module, lower, None) or getattr(module, "new")
    if lower in _NEWER:
        return make

    def construct(data=b"", **ignored):
        return make(data)

    construct.__name__ = "openssl_" + lower
    return construct


def new(name, data=b"", **options):
    """Return a new hash object of that name, fed with data."""
    return _constructor(name)(data, **options)


def _lazy(name):
    def construct(data=b"", **options):
        return _constructor(name)(data, **options)

    construct.__name__ = name
    return construct


md5, sha1, sha224, sha256, sha384, sha512 = map(_lazy, ("md5", "sha1", "sha224", "sha256", "sha384", "sha512"))


sha3_224, sha3_256, sha3_384, sha3_512, shake_128, shake_256, blake2b, blake2s = map(_lazy, _NEWER)


def pbkdf2_hmac(hash_name, password, salt, iterations, dklen=None):
    """Derive a key as PKCS #5 v2.0 does."""
    inner, outer = new(hash_name), new(hash_name)
    block = getattr(inner, "block_size", 64)
    password, salt = bytes(password), bytes(salt)
    if len(password) > block:
        password = new(hash_name, password).digest()
    password += b"\0" * (block - len(password))
    inner.update(bytes(b ^ 0x36 for b in password))
    outer.update(bytes(b ^ 0x5C for b in password))

    def keyed(message):
        first, second = inner.copy(), outer.copy()
        first.update(message)
        second.update(first.digest())
        return second.digest()

    if iterations < 1:
        raise ValueError(iterations)
    if dklen is None:
        dklen = outer.digest_size
    if dklen < 1:
        raise ValueError(dklen)
    key, number = b"", 1
    while len(key) < dklen:
        last = keyed(salt + number.to_bytes(4, "big"))
        total = int.from_bytes(last, "big")
        for _ in range(iterations - 1):
            last = keyed(last)
            total ^= int.from_bytes(last, "big")
        number += 1
        key += total.to_bytes(inner.digest_size, "big")
    return key[:dklen]
