"""What work costs, however busy the machine is."""

import time
from collections.abc import Callable


def least_cpu_s(work: Callable[[], None]) -> float:
    """CPU seconds of the cheapest of three runs: a garbage collection may fall into one of them."""

    def once() -> float:
        started = time.process_time()
        work()
        return time.process_time() - started

    return min(once() for _ in range(3))
