"""Nothing: there are no processes to share with. multiprocessing imports it."""

flags = {}
