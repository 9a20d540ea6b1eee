"""Programs that are not Python's: a machine that has only what `make test` asks for runs the tests without them."""

import shutil

import pytest


def needs(*programs: str) -> pytest.MarkDecorator:
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {' and '.join(missing)}, which this machine lacks")
