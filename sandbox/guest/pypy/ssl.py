"""There is no network in the sandbox, and nothing to encrypt it with. What can do without this module does."""

raise ImportError("ssl does not exist in the Shannot sandbox: there is no network")
