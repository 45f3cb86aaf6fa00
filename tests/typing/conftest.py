"""Keeps the scripts for the type checker out of the test run: they are never executed."""

collect_ignore = ["user_script.py", "wrong_script.py"]
