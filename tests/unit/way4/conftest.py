"""The demo's configuration, and messages read by it."""

from collections.abc import Callable

import pytest
from lxml import etree

from bankapi.gateway.envelope import ReceivedMessage
from bankapi.way4 import configuration, message, reading
from bankapi.way4.configuration import Configuration
from bankapi.way4.message import Conformity
from bankapi.way4.reading import UfxRequest

Read = Callable[[bytes | str], UfxRequest]


@pytest.fixture(scope="session")
def demo() -> Configuration:
    return configuration.read(configuration.default_text(), "way4.ini")


@pytest.fixture(scope="session")
def conformity() -> Conformity:
    return Conformity()


@pytest.fixture(scope="session")
def read(demo: Configuration, conformity: Conformity) -> Read:
    return lambda content: read_by(content, demo, conformity)


def read_by(content: bytes | str, by: Configuration, conformity: Conformity) -> UfxRequest:
    body = content.encode() if isinstance(content, str) else content
    parsed = message.parse(ReceivedMessage(body, "text/xml", "", None))
    return reading.read(conformity.check(parsed), by)


def root_of(content: str) -> etree._Element:
    return etree.fromstring(content.encode())
