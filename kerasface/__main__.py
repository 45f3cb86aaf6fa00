"""``python -m kerasface``."""

from kerasface.cli import main

if __name__ == "__main__":
    main()
