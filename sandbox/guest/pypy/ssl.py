"""There is no network in the sandbox, and nothing to encrypt it with. What can do without this module does."""

raise ModuleNotFoundError(
    "ssl is not in the PyPy of the Shannot sandbox, which has no network: --engine native has the module", name="ssl"
)
