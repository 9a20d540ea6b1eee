"""Where the adapter is found: one address beside that of SOAP, if the installation has configured it."""

from collections.abc import Mapping
from typing import Any, Final

from bankapi.gateway.exchange import Gateway
from bankapi.gateway.wsgi import DoorAnswer, Doors
from bankapi.sandbox import installation
from bankapi.settings import Settings
from bankapi.way4 import configuration, exchange
from bankapi.way4.exchange import Way4
from bankapi.way4.message import Conformity

PATH: Final = "/way4"


def doors(settings: Settings, gateway: Gateway) -> Doors:
    """The adapter's address, or none without `way4.ini`; ConfigurationError when that makes no sense."""
    found = configuration.load(settings.way4_configuration)
    if found is None:
        return {}
    way4 = Way4(gateway, found, Conformity(), settings.evidence.origin, is_sandbox=installation.is_sandbox(settings))

    def door(environ: Mapping[str, Any]) -> DoorAnswer:
        answer = exchange.answer(way4, environ)
        return DoorAnswer(answer.status, answer.body, answer.headers)

    return {("POST", PATH): door}
