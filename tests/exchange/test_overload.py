"""A gateway that gets more than it can do says so, signed and typed, and loses nothing."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bankapi.cli.payments import terminal_client
from bankapi.settings import Settings
from tests.exchange.test_registration import code, payment
from tests.running import start_gateway


def test_a_request_that_waited_too_long_is_told_to_come_again_and_then_succeeds(installation: Settings) -> None:
    """One thread, 50 ms of patience, 16 callers at once: some must wait longer than that."""
    few = {
        "BANKAPI_GATEWAY_WORKERS": "1",
        "BANKAPI_GATEWAY_THREADS": "1",
        "BANKAPI_GATEWAY_PATIENCE_S": "0.05",
    }
    with start_gateway(installation, **few) as running, ThreadPoolExecutor(16) as threads:
        clients = [terminal_client(installation, "ATM-0001") for _ in range(16)]

        def pay_until_done(number: int) -> list[Any]:
            answers = [clients[number].call("RegisterPayment", payment(f"BUSY-{number}"))]
            while answers[-1].is_fault:
                assert (code(answers[-1]), answers[-1].fields["retry"]) == ("OVERLOADED", "SAME_REFERENCE")
                time.sleep(0.05 * len(answers) * (1 + number))  # not all at once again, or all wait again
                answers.append(clients[number].call("RegisterPayment", payment(f"BUSY-{number}")))
            return answers

        tries = list(threads.map(pay_until_done, range(16)))
        assert any(len(each) > 1 for each in tries), "nobody waited: this test proved nothing"
        assert all(each[-1].fields["replayed"] is False for each in tries)
        assert "failure.overloaded" in running.log()
