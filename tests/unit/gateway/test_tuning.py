"""`gunicorn.conf.py` tunes, and cannot switch anything off."""

from pathlib import Path

import pytest

from bankapi.gateway import tuning

DEPLOYED = Path(__file__).parents[3] / "deploy" / "gunicorn.conf.py"


def test_the_deployed_file_is_taken_and_names_all_that_can_be_tuned() -> None:
    assert set(tuning.load(DEPLOYED)) == set(tuning.TUNABLE)


def test_without_a_file_nothing_is_tuned(tmp_path: Path) -> None:
    assert tuning.load(tmp_path / "none") == tuning.load(None) == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("header_map = 'dangerous'", "header_map is not one of"),
        ("forwarded_allow_ips = '*'", "forwarded_allow_ips is not one of"),
        ("worker_class = 'sync'", "worker_class is not one of"),
        ("def post_fork(server, worker): pass", "post_fork is not one of"),
        ("timeout = '30'", "timeout must be a number"),
        ("timeout = True", "timeout must be a number"),
        ("max_requests = -1", "max_requests must be a number"),
        ("worker_tmp_dir = '/nowhere'", "worker_tmp_dir is no directory"),
        ("timeout =", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_anything_else_is_refused_by_name(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "gunicorn.conf.py"
    file.write_text(text)
    with pytest.raises(ValueError, match=said):
        tuning.load(file)


def test_numbers_may_be_worked_out(tmp_path: Path) -> None:
    file = tmp_path / "gunicorn.conf.py"
    file.write_text("import os\n\n_cores = os.cpu_count() or 1\nbacklog = 256 * 2\n")
    assert tuning.load(file) == {"backlog": 512}
