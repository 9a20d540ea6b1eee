"""A released contract stays what it was, and no later one breaks its clients."""

import shutil
from pathlib import Path

import pytest

from bankapi.contract import publication, releases
from bankapi.contract.application import Contract
from tests.contract import earlier


def test_a_released_version_is_unchanged() -> None:
    changed = releases.changed(earlier.LOCK.read_text(), Contract.version, publication.documents())
    assert changed == [], "a released version never changes: give the change a new version"


def test_what_is_kept_of_a_release_is_what_was_released() -> None:
    lock = earlier.LOCK.read_text()
    for version in releases.locked(lock):
        kept = releases.kept(earlier.WSDL_FOLDER, version).read_bytes()
        assert publication.WSDL_FILE not in releases.changed(lock, version, {publication.WSDL_FILE: kept})


def test_todays_contract_breaks_no_client_of_a_release() -> None:
    assert releases.breaks(earlier.WSDL_FOLDER, earlier.SCHEMAS_FOLDER) == []


class TestReleasing:
    @pytest.fixture
    def folders(self, tmp_path: Path) -> tuple[Path, Path]:
        """Published files of today, of which nothing is released."""
        wsdl, schemas = tmp_path / "wsdl", tmp_path / "schemas"
        wsdl.mkdir()
        schemas.mkdir()
        publication.export(wsdl, schemas)
        (schemas / releases.LOCK_FILE).write_text("# nothing yet\n")
        return wsdl, schemas

    def test_it_locks_the_files_and_keeps_the_wsdl(self, folders: tuple[Path, Path]) -> None:
        wsdl, schemas = folders
        version = releases.release(wsdl, schemas)
        lock = (schemas / releases.LOCK_FILE).read_text()
        assert releases.changed(lock, version, publication.documents()) == []
        assert releases.kept(wsdl, version).read_bytes() == publication.wsdl()
        assert releases.breaks(wsdl, schemas) == []

    def test_a_change_under_its_version_is_found(self, folders: tuple[Path, Path]) -> None:
        version = releases.release(*folders)
        lock = (folders[1] / releases.LOCK_FILE).read_text()
        later = publication.documents()
        later[publication.SCHEMA_FILE] += b"\n"
        assert releases.changed(lock, version, later) == [publication.SCHEMA_FILE]
        assert releases.changed(lock, "9.9.9", later) == []

    def test_it_is_done_once(self, folders: tuple[Path, Path]) -> None:
        releases.release(*folders)
        with pytest.raises(releases.NotReleased, match="already"):
            releases.release(*folders)

    def test_drift_is_not_released(self, folders: tuple[Path, Path]) -> None:
        (folders[0] / publication.WSDL_FILE).write_bytes(b"<edited/>")
        with pytest.raises(releases.NotReleased, match="export"):
            releases.release(*folders)

    def test_what_breaks_earlier_clients_is_not_released(self, folders: tuple[Path, Path]) -> None:
        wsdl, schemas = folders
        kept = releases.kept(wsdl, "0.9.0")
        kept.parent.mkdir()
        shutil.copy(earlier.DRAFT, kept)
        (schemas / releases.LOCK_FILE).write_text("0.9.0 bankapi-v1.wsdl 00\n")
        assert releases.breaks(wsdl, schemas) == ["0.9.0: the policy is another"]
        with pytest.raises(releases.NotReleased, match=r"0\.9\.0: the policy"):
            releases.release(wsdl, schemas)
