"""Let Spyne 2.14.0 import on Python 3.12 and later.

Spyne carries a copy of six 1.14 whose lazy `six.moves` is found by `find_module`, which Python 3.12 removed (Spyne
issues #700, #708, #711; fixed in its repository by PR #704, never released). The installed six does the same by
today's import protocol, so Spyne is lent those modules, on every Python alike.
"""

import sys
from importlib import import_module
from typing import Final

_LENT: Final = ("moves", "moves.collections_abc")
"""What the parts of Spyne we use import from their six by name."""


def lend_six_moves() -> None:
    """Put six's lazy modules where Spyne looks for its own; must run before the first import of Spyne."""
    for name in _LENT:
        sys.modules.setdefault(f"spyne.util.six.{name}", import_module(f"six.{name}"))
