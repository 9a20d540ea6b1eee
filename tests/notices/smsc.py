"""Running the SMSC of another code base: node's `smpp`, told how to misbehave."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.running import wait_until


@dataclass
class SMSC:
    """A running SMSC and what it saw."""

    port: int
    process: subprocess.Popen[str]
    events: list[dict[str, Any]] = field(default_factory=list)

    def behave(self, **how: Any) -> None:
        """Change its behaviour from now on; `bind` and `submit` are what to do with the next ones, in turn."""
        before = len(self.told("behaves"))
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(how) + "\n")
        self.process.stdin.flush()
        wait_until(lambda: len(self.told("behaves")) > before)

    def seen(self, event: str) -> list[dict[str, Any]]:
        """Everything of this kind that it saw until now: its answer comes after all that it has told before."""
        self.behave()
        return self.told(event)

    def told(self, event: str) -> list[dict[str, Any]]:
        return [each for each in list(self.events) if each["event"] == event]

    @property
    def taken(self) -> list[str]:
        """The texts of the messages that it really took."""
        return [each["text"] for each in self.seen("submit") if each["taken"]]

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.events.append(json.loads(line))


@contextmanager
def running(folder: Path, port: int) -> Iterator[SMSC]:
    """An SMSC until the end of the block; then its port refuses connections."""
    process = subprocess.Popen(
        ["node", folder / "smsc.mjs", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    smsc = SMSC(port, process)
    reader = threading.Thread(target=smsc.read, daemon=True)
    reader.start()
    try:
        wait_until(lambda: smsc.told("listening"))
        yield smsc
    finally:
        process.kill()
        process.wait()
        reader.join()
