"""What the programs that use this package have in common. Imports nothing but Python's own library."""

import argparse
import importlib
import os
import sys

PACKAGES_MISSING = 77  # exit code


class Parser(argparse.ArgumentParser):
    """Bad usage is one line, and exit code 2."""

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")


def error_text(error):
    """In one line; with the file's name if the system refused it."""
    named = isinstance(error, OSError) and error.filename
    return f"{error.filename}: {error.strerror}" if named else str(error)


def has_packages(program, *names):
    """Whether Debian's packages python3-NAME are there; says which is not. The program may begin anew for that."""
    try:
        for name in names:
            importlib.import_module(name)
        return True
    except ImportError as error:
        # Debian's packages belong to Debian's interpreter, which need not be the first one on the path.
        debian = "/usr/bin/python3"
        if os.path.exists(debian) and not os.environ.get("ACTGRAD_PLOT_RETRIED"):
            os.environ["ACTGRAD_PLOT_RETRIED"] = "1"
            os.execv(debian, [debian, *sys.argv])
        print(f"{program}: {error.name} is missing: apt install python3-{error.name}", file=sys.stderr)
        return False
