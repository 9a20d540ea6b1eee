"""Chromium without a screen: pictures of a page, its size, and how it prints."""

import html
import re
import subprocess
from pathlib import Path

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
FRAMED = """<!DOCTYPE html><meta charset="utf-8">
<style>body {{ margin: 0 }} iframe {{ border: 0; display: block }}</style>
<iframe id="page" width="{width}" height="{height}" srcdoc="{page}"></iframe>
<script>
onload = () => {{
  const root = document.getElementById("page").contentDocument.documentElement;
  const style = (query) => getComputedStyle(root.querySelector(query));
  const rows = [...root.querySelectorAll(".rows")].at(-1);
  rows.scrollTop = 1500;
  const sunk = rows.querySelector("thead th").getBoundingClientRect().top - rows.getBoundingClientRect().top;
  document.title = [root.scrollWidth, root.clientWidth, style("body").direction, style("td.n").textAlign,
    Math.round(sunk)].join(" ");
}};
</script>"""


class Browser:
    """Runs chromium with a profile of its own."""

    def __init__(self, profile: Path) -> None:
        self._profile = profile

    def picture(self, page: Path, picture: Path, width: int, height: int) -> None:
        """A picture of a page in a window; narrow windows need `framed`."""
        self._run(f"--window-size={width},{height}", f"--screenshot={picture}", page.as_uri())
        assert picture.stat().st_size > 10_000

    def printed(self, page: Path, paper: Path) -> None:
        """The page as it is printed."""
        self._run("--no-pdf-header-footer", f"--print-to-pdf={paper}", page.as_uri())

    def measured(self, framed: Path) -> list[str]:
        """Scroll width, client width, direction, alignment of digits, and how far below
        the upper edge of a table its heading is after scrolling the rows (pixels)."""
        dom = self._run("--window-size=1600,1000", "--dump-dom", framed.as_uri())
        found = re.search(r"<title>(.*?)</title>", dom)
        assert found is not None, "the page was not measured"
        return found.group(1).split()

    def _run(self, *arguments: str) -> str:
        command = ["chromium", *FLAGS, f"--user-data-dir={self._profile}", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


def framed(page: Path, width: int, height: int) -> Path:
    """A page that shows another in a frame of this width: chromium's own windows are never narrower than 500 px."""
    frame = page.with_name(f"{page.stem}-{width}.html")
    content = html.escape(page.read_text(encoding="utf-8"))
    frame.write_text(FRAMED.format(width=width, height=height, page=content), encoding="utf-8")
    return frame
