"""The command line: the functions of the library from a shell."""

from kerasface.cli.application import app as app
from kerasface.cli.application import main as main
