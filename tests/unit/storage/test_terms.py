"""Section `[storage]` of the settings."""

from pathlib import Path

import pytest

from bankapi import settings
from bankapi.settings import Isolation, SettingsError, StorageSettings


def test_the_terms_come_from_the_file_and_the_environment(tmp_path: Path) -> None:
    (tmp_path / "bankapi.ini").write_text("[storage]\nisolation = serializable\nlock_timeout_s = 0.5\npool_size = 3\n")
    read = settings.load(tmp_path, {"BANKAPI_STORAGE_POOL_SIZE": "4"}).storage
    assert read == StorageSettings(isolation=Isolation.SERIALIZABLE, lock_timeout_s=0.5, pool_size=4)
    assert settings.load(tmp_path / "none", {}).storage.isolation is Isolation.READ_COMMITTED


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("ISOLATION", "repeatable-read", "must be one of read-committed, serializable"),
        ("ISOLATION", "", "must be one of read-committed, serializable"),
        ("POOL_SIZE", "many", "must be a number"),
        ("POOL_SIZE", "0", "must be positive"),
        ("STATEMENT_TIMEOUT_S", "-1", "must be positive"),
    ],
)
def test_a_term_that_means_nothing_refuses_to_start(tmp_path: Path, name: str, value: str, sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        settings.load(tmp_path, {f"BANKAPI_STORAGE_{name}": value})
