"""The operations' races once more where every transaction is SERIALIZABLE, as distributed engines offer nothing less.

PostgreSQL's own SERIALIZABLE shows what can be shown here: the database picks losers by itself, and the store runs them
again.
"""

from collections.abc import Callable, Iterator

import pytest

from bankapi.billing.limits import Scope
from bankapi.settings import Isolation, StorageSettings
from bankapi.storage.engine import Store
from tests.postgres import Postgres
from tests.unit.conftest import Books, with_accounts
from tests.unit.operations import test_races as races
from tests.unit.operations.racing import Track

pytestmark = pytest.mark.slow
TERMS = StorageSettings(isolation=Isolation.SERIALIZABLE)
RACES = [
    races.test_copies_of_one_registration_pay_once,
    races.test_of_two_payments_under_one_reference_one_is_a_conflict,
    races.test_a_cancellation_that_says_ok_leaves_nothing_of_the_payment,
    races.test_cancelling_at_once_cancels_once_and_tells_all_the_same,
    races.test_dealers_pay_one_customer_at_once_in_currencies_never_used_before,
    races.test_a_deposit_is_never_overdrawn_and_all_of_it_can_be_spent,
    races.test_a_suspension_follows_the_balance_whoever_comes_first,
    races.test_everything_at_once_ends_and_balances,
]


@pytest.fixture(scope="module")
def track() -> Iterator[Track]:
    track = Track(TERMS)
    yield track
    track.close()


@pytest.fixture
def database_url(postgres: Postgres) -> Iterator[str]:
    with postgres.database() as url:
        yield url


@pytest.fixture
def books(database_url: str) -> Iterator[Books]:
    books = Books(Store(database_url, TERMS))
    with_accounts(books)
    yield books
    books.assert_sound()
    books.store.close()


@pytest.mark.parametrize("race", RACES, ids=lambda race: race.__name__)
def test_what_holds_in_a_race_holds(race: Callable[..., None], books: Books, database_url: str, track: Track) -> None:
    before = track.races_lost
    race(books, database_url, track)
    print(f"{race.__name__}: run again {track.races_lost - before} times")


@pytest.mark.parametrize("by_amount", [False, True], ids=["count", "amount"])
@pytest.mark.parametrize("scope", Scope)
def test_limits_per_day_hold(books: Books, database_url: str, track: Track, scope: Scope, by_amount: bool) -> None:
    races.test_a_limit_per_day_is_reached_exactly_and_never_passed(books, database_url, track, scope, by_amount)


def test_that_there_were_losers(books: Books, database_url: str, track: Track) -> None:
    """Else the races above have shown nothing: 48 payments to one account, each of which reads what another writes."""
    before = track.races_lost
    answers = track.race(database_url, [races.pay(f"R{n}", amount="1") for n in range(48)])
    assert {str(answer.result) for answer in answers} == {"OK"}
    assert books.balance(races.by_phone(1)) == races.rub("48")
    assert track.races_lost > before
