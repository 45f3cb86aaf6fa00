"""``python -m kerasface``."""

from kerasface.cli import main

main()
