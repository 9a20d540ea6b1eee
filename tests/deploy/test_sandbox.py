"""A sandbox as deployed: through nginx, too, a lost answer is none at all, and a slow one comes."""

import time

import pytest

from bankapi.sandbox.numbers import SLOW_S, Behaviour
from tests.deploy.conftest import deployed
from tests.exchange.test_registration import code
from tests.exchange.test_sandbox import header, pay, read_to_the_end, status
from tests.postgres import Postgres, postgres  # noqa: F401

pytestmark = pytest.mark.slow


def test_answers_are_lost_and_late_through_nginx_as_without(postgres: Postgres) -> None:  # noqa: F811
    with postgres.database("template1") as url, deployed(url, sandbox=True) as sandbox:
        atm = sandbox.client()
        for number in range(4):  # both gateways
            asked = pay(f"LOST-{number}", Behaviour.LOST)
            request = atm.sign(*asked)
            assert read_to_the_end(sandbox.settings, "RegisterPayment", request, in_order=False) == b""
            assert atm.call(*status(f"LOST-{number}")).fields["status"] == "REGISTERED"
            again = atm.call(*asked)
            assert (code(again), again.fields["replayed"]) == ("OK", True)
        begun = time.monotonic()
        assert code(atm.call(*pay("SLOW", Behaviour.SLOW))) == "OK"
        assert time.monotonic() - begun >= SLOW_S
        assert header(sandbox.settings, "GET", "/soap/v1?wsdl") == "yes"
        for path in ("/lost", "/soap/v1/../../lost"):
            assert header(sandbox.settings, "GET", path) is None, "nginx itself says that there is no such address"
