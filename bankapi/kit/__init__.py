"""The integrator's kit: what a bank's developer gets of us to be able to pay.

`clients/` holds one complete client per stack, with its guide; `tests/interop` runs those very files.
"""
