"""Many attacks at once: the payments among them are taken all the same."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

from tests.attacks.arena import Arena, Attack, Scene, worker_pids
from tests.attacks.test_documents import DOCUMENTS
from tests.attacks.test_signatures import SIGNATURES

CONNECTIONS, ATTACKS, PAYMENTS = 8, 200, 50


def test_good_payments_among_attacks_are_all_taken(arena: Arena) -> None:
    """200 attacks of every kind and 50 payments over 8 kept-alive connections, in any order."""
    scenes = [arena.scene() for _ in range(ATTACKS + PAYMENTS)]
    before, log_before = arena.books(), len(arena.gateway.log())
    builders = [builder for builder, _, _ in (*SIGNATURES.values(), *DOCUMENTS.values())]
    messages = [(_attack(scene, builders[n % len(builders)]), True) for n, scene in enumerate(scenes[:ATTACKS])]
    messages += [(Attack(scene.signed()), False) for scene in scenes[ATTACKS:]]
    random.Random(1).shuffle(messages)
    queue = iter(messages)
    lock = threading.Lock()

    def one_connection(_: int) -> int:
        connection, taken = arena.connect(), 0
        while True:
            with lock:
                attack, is_attack = next(queue, (None, False))
            if attack is None:
                connection.close()
                return taken
            reply = arena.send(attack, connection)
            if attack.received is not None:
                connection.close()  # the gateway does, too; the next request opens it again
            if is_attack:
                arena.fault_of(reply, attack)
            else:
                arena.accepted(reply, attack)
                taken += 1

    with ThreadPoolExecutor(CONNECTIONS) as threads:
        assert sum(threads.map(one_connection, range(CONNECTIONS))) == PAYMENTS
    assert arena.books()[0] == before[0] + PAYMENTS
    assert arena.books()[1] == before[1] + 2 * PAYMENTS
    assert worker_pids(arena.gateway) == arena.workers
    log = arena.gateway.log()[log_before:]
    assert "Traceback" not in log
    assert not any(scene.canary in log for scene in scenes)


def _attack(scene: Scene, builder: object) -> Attack:
    assert callable(builder)
    built = builder(scene)
    return built if isinstance(built, Attack) else Attack(built)
