"""`deploy/bankapi.ini` names every setting with its meaning and default, and is one that the program takes."""

import ast
import configparser
import re
import textwrap
from dataclasses import fields
from pathlib import Path

from bankapi import settings
from tests.deploy.units import DEPLOY, UNITS, settings_of

FILE = DEPLOY / "bankapi.ini"
_DEFAULT = re.compile(r"#([a-z_]+) =(?: (.*))?")


def documented() -> dict[tuple[str, str], tuple[str, str]]:
    """(Section, name) to the comment above the setting and the default behind its #, as the file says them."""
    found: dict[tuple[str, str], tuple[str, str]] = {}
    section, comment = "", []
    for line in FILE.read_text().splitlines():
        if line.startswith("["):
            section, comment = line.strip("[]"), []
        elif default := _DEFAULT.fullmatch(line):
            found[section, default[1]] = (" ".join(comment), default[2] or "")
            comment = []
        elif line.startswith("# "):
            comment.append(line[2:])
        else:
            comment = []
    return found


def meanings() -> dict[tuple[str, str], str]:
    """(Class, name) to the sentence below the setting in settings.py."""
    found = {}
    for node in ast.walk(ast.parse(Path(settings.__file__).read_text())):
        if isinstance(node, ast.ClassDef):
            for setting, below in zip(node.body, [*node.body[1:], None], strict=True):
                is_said = isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant)
                if isinstance(setting, ast.AnnAssign) and isinstance(setting.target, ast.Name) and is_said:
                    found[node.name, setting.target.id] = " ".join(str(below.value.value).split())
    return found


def test_every_setting_stands_there_with_the_meaning_and_the_default_it_has() -> None:
    said = meanings()
    expected = {}
    for section, kind in settings._SECTIONS.items():
        for setting in fields(kind):
            owners = [base.__name__ for base in kind.__mro__ if (base.__name__, setting.name) in said]
            assert owners, f"{setting.name} in [{section}] has no meaning in settings.py"
            expected[section, setting.name] = (said[owners[0], setting.name], str(getattr(kind(), setting.name)))
    assert documented() == expected


def test_the_file_is_one_that_the_program_takes(tmp_path: Path) -> None:
    (tmp_path / "bankapi.ini").write_text(FILE.read_text())
    loaded = settings.load(tmp_path, {})
    assert loaded.gateway.listen == "unix:" + settings_of("bankapi-gateway.socket")["ListenStream"][0]
    assert loaded.gateway.front_group == settings_of("bankapi-gateway.socket")["SocketGroup"][0]
    assert loaded.gateway.graceful_stop_s < int(settings_of("bankapi-gateway@.service")["TimeoutStopSec"][0])


def test_with_every_default_written_out_nothing_changes(tmp_path: Path) -> None:
    written = configparser.ConfigParser(interpolation=None)
    for (section, name), (_, default) in documented().items():
        if not written.has_section(section):
            written.add_section(section)
        written.set(section, name, default)
    with (tmp_path / "bankapi.ini").open("w") as file:
        written.write(file)
    with_all = settings.load(tmp_path, {})
    (tmp_path / "bankapi.ini").unlink()
    assert with_all == settings.load(tmp_path, {})


def test_nginx_and_the_units_speak_of_the_same_socket_user_and_files() -> None:
    nginx = (DEPLOY / "nginx.conf").read_text()
    assert f"server unix:{settings_of('bankapi-gateway.socket')['ListenStream'][0]} " in nginx
    assert f"user {settings.GatewaySettings().front_user};" in nginx
    home = settings.load(Path("/var/lib/bankapi"), {})
    for file in (
        home.ca_certificate,
        home.revocation_list,
        home.gateway_file("cert.pem"),
        home.gateway_file("key.pem"),
    ):
        assert f" {file};" in nginx
    watched = settings_of("bankapi-front-reload.path")["PathChanged"]
    assert watched == [str(home.ca_certificate), str(home.revocation_list), str(home.gateway_file("cert.pem"))]
    hidden = set(settings_of("bankapi-gateway@.service")["InaccessiblePaths"])
    assert hidden == {f"-{home.ca_file(name)}" for name in ("ca-key.pem", "next-ca-key.pem", "last-ca-key.pem")}
    assert home.ca_key == home.ca_file("ca-key.pem")


def test_comments_fit_the_width_of_the_code() -> None:
    for file in (FILE, DEPLOY / "nginx.conf", *UNITS.iterdir()):
        for line in file.read_text().splitlines():
            assert len(line) <= 120, f"{file.name}: {textwrap.shorten(line, 60)}"
