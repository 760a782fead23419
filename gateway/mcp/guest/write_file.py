import sys

try:
    with open(PATH, "w", encoding="utf-8", newline="") as file:
        file.write(CONTENT)
except OSError as error:
    sys.exit(f"{PATH}: {error.strerror}")
