"""The page for people as they see it: a browser with a terminal's certificate, at phone and desktop width.

The pictures are kept in BANKAPI_ARTIFACTS (tests/artifacts), where the next run replaces them.
"""

import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bankapi.contract.service import BankApi
from bankapi.kit import page_content, samples
from bankapi.kit.page_reference import TYPES_PATH
from bankapi.settings import Settings
from tests.conftest import copy_home
from tests.exchange.test_page import reading
from tests.pages.chromium import Chromium, chromium
from tests.programs import needs
from tests.running import RunningGateway, start_gateway

pytestmark = [pytest.mark.slow, needs("chromium", "certutil", "pk12util", "openssl")]
VOID = {"link", "meta", "wbr"}
SIZES = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
TREE = """(() => {
  const walk = (element, depth) => [[element.localName, depth], ...[...element.children].flatMap(
    child => walk(child, depth + 1))];
  return walk(document.documentElement, 0);
})()"""
TOO_WIDE = """[...document.querySelectorAll("body *")].filter(
  each => each.getBoundingClientRect().right > innerWidth + 0.5 && !each.closest("thead")
).map(each => each.outerHTML)"""


@pytest.fixture(scope="module")
def artifacts() -> Path:
    folder = Path(os.environ.get("BANKAPI_ARTIFACTS", Path(__file__).parents[1] / "artifacts")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def site(settings: Settings) -> str:
    return f"https://localhost:{settings.gateway.port}"


def store(settings: Settings) -> tuple[Path, Path, Path]:
    """What the browser of a terminal's developer knows: the CA, the certificate and its key."""
    cert, key = (settings.terminal_file("ATM-0001", f"{name}.pem") for name in ("cert", "key"))
    return settings.ca_certificate, cert, key


@pytest.fixture(scope="module")
def browser(gateway: RunningGateway, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    folder = tmp_path_factory.mktemp("browser")
    with chromium(folder, site(gateway.settings), *store(gateway.settings)) as opened:
        yield opened


def look(browser: Chromium, url: str, width: int, picture: Path, *, dark: bool = False) -> None:
    """Open, measure, take a picture. Nothing is cut off or scrolls sideways, and the browser has nothing to say."""
    browser.resize(width, 900, dark=dark)
    assert browser.open(url) == ""
    scrolled, client = browser.value(SIZES)
    assert (scrolled, client) == (width, width)
    assert browser.value(TOO_WIDE) == []
    assert browser.value("document.styleSheets[0].cssRules.length") > 30
    assert browser.said == []
    browser.picture(picture)
    assert picture.stat().st_size > 50_000


@pytest.mark.parametrize("width", [320, 768, 1280])
@pytest.mark.parametrize("name", ["page", "types"])
def test_it_fits_every_width(
    gateway: RunningGateway, browser: Chromium, artifacts: Path, name: str, width: int
) -> None:
    path = {"page": "/", "types": TYPES_PATH}[name]
    look(browser, site(gateway.settings) + path, width, artifacts / f"{name}-{width}.png")
    # The samples too, once they are unfolded.
    browser.value("document.querySelectorAll('details').forEach(each => each.open = true)")
    assert browser.value(SIZES) == [width, width]
    assert browser.value(TOO_WIDE) == []


def test_at_night_it_is_dark(gateway: RunningGateway, browser: Chromium, artifacts: Path) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    look(browser, site(gateway.settings), 1280, artifacts / "page-1280.png")
    day = browser.value(ground)
    look(browser, site(gateway.settings), 1280, artifacts / "page-1280-dark.png", dark=True)
    assert (day, browser.value(ground)) == ("rgb(255, 255, 255)", "rgb(22, 28, 34)")


def test_the_reader_is_known_by_the_certificate(gateway: RunningGateway, browser: Chromium) -> None:
    browser.open(site(gateway.settings))
    assert browser.value("document.querySelector('#connection').innerText.includes('ATM-0001 of DEMO-BANK')")
    assert browser.value("document.title") == f"bankapi at localhost:{gateway.settings.gateway.port}"


def test_the_policy_holds(gateway: RunningGateway, browser: Chromium) -> None:
    """What the other tests take for silence is not deafness: a broken policy is said, and nothing of it happens."""
    browser.open(site(gateway.settings))
    browser.value(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = true'})),"
        "document.body.append(Object.assign(document.createElement('img'), {src: '/kit/page.css'}))"
    )
    browser.value("new Promise(done => setTimeout(done, 300))")
    assert browser.value("window.ran") is None
    said = str(browser.said)
    assert "script-src" in said
    assert "img-src" in said


def test_the_first_tab_leads_to_the_content_and_every_link_can_be_reached(
    gateway: RunningGateway, browser: Chromium
) -> None:
    browser.open(site(gateway.settings))
    browser.press("Tab")
    assert browser.value("document.activeElement.hash") == "#main"
    assert browser.value("document.activeElement.getBoundingClientRect().top") >= 0, "it can be seen then"
    reachable = "[...document.querySelectorAll('a')].every(each => each.tabIndex === 0 && each.innerText.trim())"
    assert browser.value(reachable)


def test_the_browser_reads_the_tree_that_was_written(gateway: RunningGateway, browser: Chromium) -> None:
    """HTML's parser repairs what is nested wrongly; here it had nothing to repair."""
    browser.open(site(gateway.settings) + TYPES_PATH)
    assert browser.value(TREE) == written(page_content.types())
    browser.open(site(gateway.settings))
    with reading(gateway) as reader:
        assert browser.value(TREE) == written(reader.ask()[2])
    assert browser.value("document.compatMode") == "CSS1Compat"


class _Written(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tree: list[list[object]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tree.append([tag, len(self.open)])
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def written(source: bytes) -> list[list[object]]:
    parser = _Written()
    parser.feed(source.decode())
    parser.close()
    assert parser.open == []
    return parser.tree


@needs("pdftotext")
def test_it_is_printed_whole_with_its_samples(gateway: RunningGateway, browser: Chromium, artifacts: Path) -> None:
    browser.resize(1280, 900)
    browser.open(site(gateway.settings))
    browser.printed(artifacts / "page.pdf")
    command = ["pdftotext", "-layout", str(artifacts / "page.pdf"), "-"]
    text = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert all(re.search(rf"^[ \f]*{operation}$", text, re.MULTILINE) for operation in BankApi.public_methods)
    assert text.count("<Reference>SAMPLE-1</Reference>") >= 3
    assert text.count("Sample: ") == len(samples.all())


def test_a_browser_without_a_certificate_sees_nothing_and_is_told_why(gateway: RunningGateway, tmp_path: Path) -> None:
    own = gateway.settings
    with chromium(tmp_path / "home", site(own), own.ca_certificate, None, None) as stranger:
        seen = Counter(stranger.open(f"{site(own)}/?{visit}") for visit in range(30))
    assert all(error.startswith("net::ERR_") for error in seen)
    # A browser that this machine keeps from reading for linger_s finds the connection gone instead.
    assert seen["net::ERR_BAD_SSL_CLIENT_AUTH_CERT"] >= 29


def test_a_sandbox_says_what_it_is(sandbox_home: Path, tmp_path: Path, artifacts: Path) -> None:
    own = copy_home(sandbox_home, tmp_path / "var")
    with (
        start_gateway(own, BANKAPI_GATEWAY_WORKERS="1") as running,
        reading(running) as reader,
        chromium(tmp_path / "home", site(own), *store(own)) as opened,
    ):
        for width in (320, 1280):
            look(opened, site(own), width, artifacts / f"page-sandbox-{width}.png")
        assert "SANDBOX" in opened.value("document.querySelector('header').innerText")
        assert opened.value("document.querySelector('#numbers').innerText.includes('99900000032')")
        _, headers, body = reader.ask()
        assert headers["Bankapi-Sandbox"] == "yes"
        assert len(body) < 100_000
