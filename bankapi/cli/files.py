"""Files that commands write: whole or not at all, however long that takes."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def appearing(path: Path) -> Iterator[BinaryIO]:
    """A file that appears, whole, when the block has succeeded; nobody but its owner may read it.

    It names people's payments, and may be as large as the disk: it is written beside its place, not in memory.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
        building = Path(file.name)
        try:
            yield file  # type: ignore[misc]  # it is a BinaryIO in all but name
            file.flush()
            os.fsync(file.fileno())
            building.replace(path)
        finally:
            building.unlink(missing_ok=True)
