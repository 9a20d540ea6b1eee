"""Reports as they are seen: rendered by a browser and by a PDF viewer, to be looked at and measured.

The pictures are kept in BANKAPI_ARTIFACTS (tests/artifacts), where the next run replaces them.
"""

import os
import re
import subprocess
from decimal import Decimal
from pathlib import Path

import pytest

from bankapi.languages.texts import texts as texts_of
from bankapi.reports.render import Format, write
from tests.programs import needs
from tests.reports.browser import Browser, framed
from tests.reports.samples import SPOKEN, document, words

ROWS = 120
TOTAL = Decimal(sum(number * 1237 + 10_050 for number in range(ROWS))).scaleb(-2)
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def artifacts() -> Path:
    folder = Path(os.environ.get("BANKAPI_ARTIFACTS", Path(__file__).parents[1] / "artifacts")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Browser:
    return Browser(tmp_path_factory.mktemp("profile"))


def made(artifacts: Path, language: str, format: Format, rows: int = ROWS, days: int = 31) -> Path:
    path = artifacts / f"report-{language}-{rows}.{format}"
    with path.open("wb") as file:
        write(document(language, rows=rows, days=days), format, file)
    return path


def run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@needs("pdftoppm", "pdftotext", "pdfinfo", "pdffonts")
@pytest.mark.parametrize("language", SPOKEN)
def test_paper(language: str, artifacts: Path) -> None:
    pdf, said = made(artifacts, language, Format.PDF), words(language)
    run("pdftoppm", "-r", "80", "-png", str(pdf), str(pdf.with_suffix("")))
    pages = int(re.findall(r"Pages: +(\d+)", run("pdfinfo", str(pdf)))[0])
    assert pages == 5
    assert len(list(artifacts.glob(f"{pdf.stem}-*.png"))) >= pages
    texts = [run("pdftotext", "-layout", "-f", str(page), "-l", str(page), str(pdf), "-") for page in range(1, 6)]
    for number, text in enumerate(texts, 1):
        assert {str(number), "5"} <= set(re.findall(r"\d+", text.strip().splitlines()[-1])), "page x of y"
    references = re.findall(r"2026-03-POS\d{8}|-REF/\d{6}", "".join(texts))
    assert len(references) == len(set(references)) == ROWS
    for text in texts[1:]:
        assert said["amount"] in text, "the heading is on every page"
        assert said["registered"] in text
    assert texts_of(language).number(TOTAL) in texts[-1]
    fonts = run("pdffonts", str(pdf)).splitlines()[2:]
    assert all(re.search(r"\byes yes yes\b", line) for line in fonts), "embedded, subset, with a map to Unicode"
    assert any("Arabic" in line for line in fonts) is (language == "ar")
    assert any("CJK" in line for line in fonts) is (language == "zh")


@needs("pdftotext")
def test_arabic_paper_starts_at_the_right(artifacts: Path) -> None:
    pdf = made(artifacts, "ar", Format.PDF)
    boxes = run("pdftotext", "-bbox", "-f", "2", "-l", "2", str(pdf), "-")
    found = re.findall(r'xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="[\d.]+">([^<]+)<', boxes)
    place = {word: (float(left), float(right)) for left, _, right, word in found}
    reference, payment, terminal = place["2026-03-POS00000000"], place["01JNAX" + "0" * 20], place["ATM-0000"]
    assert reference[0] > payment[1] > payment[0] > terminal[1], "columns run to the left"
    amounts = [float(right) for _, _, right, word in found if word == "RUB"]
    assert len(amounts) > 20
    assert max(amounts) - min(amounts) < 0.1, "amounts end in one line"
    assert all(0 < left < right < 842 for left, right in place.values())


@needs("chromium")
@pytest.mark.parametrize("language", SPOKEN)
def test_screens(language: str, artifacts: Path, browser: Browser) -> None:
    page = made(artifacts, language, Format.HTML)
    browser.picture(page, page.with_suffix(".png"), 1400, 1800)
    for width in (320, 700, 1400):
        frame = framed(page, width, 2400)
        scrolled, client, direction, digits, sunk = browser.measured(frame)
        assert int(scrolled) <= int(client), f"nothing is cut off or scrolls sideways at {width} px"
        assert direction == ("rtl" if language == "ar" else "ltr")
        assert digits == "right"
        assert abs(int(sunk)) <= 2, "the heading stays in sight"
        if width == 320:
            browser.picture(frame, page.with_name(f"{page.stem}-320.png"), 500, 2400)


@needs("chromium", "pdftotext", "pdftoppm")
def test_a_screen_is_printed_whole(artifacts: Path, browser: Browser) -> None:
    page = made(artifacts, "en", Format.HTML, rows=1100, days=62)
    paper = page.with_name("printed.pdf")
    browser.printed(page, paper)
    run("pdftoppm", "-r", "60", "-png", "-l", "3", str(paper), str(paper.with_suffix("")))
    text = run("pdftotext", "-layout", str(paper), "-")
    assert len(set(re.findall(r"2026-03-POS\d{8}|-REF/\d{6}", text))) == 1100
    assert "rows 1,001 to 1,100" in text
