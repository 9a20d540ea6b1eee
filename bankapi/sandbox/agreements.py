"""What no payer's state can produce: the call is made under another agreement than the terminal's own.

The operations decide by it as they always do, and what they decide is recorded as they always record it: this is the
only place where the sandbox makes anything up about a caller.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from bankapi.billing.terminals import CancelRule, Scheme, Terminal
from bankapi.sandbox.accounts import LIMITED
from bankapi.sandbox.numbers import Behaviour

_MISSES_MAX: Final = 2**31 - 1
_EMPTY: Final = "SANDBOX-EMPTY"
"""The owner of a deposit into which nobody pays; no dealer has the name."""
_CANCEL: Final = "CancelPayment"

_AGREEMENTS: Final[dict[Behaviour, Callable[[Terminal, str], Terminal]]] = {
    Behaviour.LIMIT: lambda terminal, _: replace(terminal, name=LIMITED, misses_max=0),
    Behaviour.NO_FUNDS: lambda terminal, _: replace(
        terminal, dealer_name=_EMPTY, scheme=Scheme.DEBIT_ADJUSTMENT, overdraft_minor=0
    ),
    Behaviour.NOT_ALLOWED: lambda terminal, _: replace(terminal, operations=frozenset()),
    Behaviour.WINDOW_CLOSED: lambda terminal, _: replace(terminal, cancel_rule=CancelRule.NEVER),
    Behaviour.CANCEL_NOT_ALLOWED: lambda terminal, operation: (
        replace(terminal, operations=frozenset()) if operation == _CANCEL else terminal
    ),
}


def under(behaviour: Behaviour, terminal: Terminal, operation: str) -> Terminal:
    """The terminal as the operation shall see it.

    Asking for numbers that do not exist has no end here: a test that asks for many would change the answers to all.
    """
    patient = replace(terminal, misses_max=_MISSES_MAX)
    change = _AGREEMENTS.get(behaviour)
    return patient if change is None else change(patient, operation)
