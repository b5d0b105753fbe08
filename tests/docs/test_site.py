"""The site of the documents: built strictly, complete, quiet, and opened in a browser where one is.

`make site` installs what builds it and runs the tests that are marked.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

import pytest
from ruamel.yaml import YAML

from docs.site.build import adapt, pages, stage

from .markdown import DOCUMENTS, ROOT

PYTHON = ROOT / ".venv-site" / "bin" / "python"
BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
PHONE = 390
PROBE = """<body><script>
const pages = PAGES, found = {};
for (const page of pages) {
  const frame = document.createElement("iframe");
  frame.style.width = "WIDTHpx";
  frame.src = page;
  frame.onload = () => {
    const shown = frame.contentDocument;
    found[page] = [shown.documentElement.scrollWidth, getComputedStyle(shown.body).backgroundColor];
    if (Object.keys(found).length < pages.length) return;
    document.body.innerHTML = "<pre>" + JSON.stringify(found) + "</pre>";
  };
  document.body.append(frame);
}
</script></body>"""
"""A page that says how wide each page is on a phone, and its colour."""


def test_a_list_gets_the_room_that_mkdocs_needs() -> None:
    text = "Claim:\n- one\n- two\n\n```\nx\n- y\n```\n"
    assert adapt(text, Path()) == "Claim:\n\n- one\n- two\n\n```\nx\n- y\n```\n"


def test_a_link_to_a_file_that_is_no_page_becomes_its_words() -> None:
    links = (
        "[a](examples/library.py) [b](docs/remote.md#cloning) [c](gone.md) [d](https://x.example)"
    )
    assert adapt(links, Path()) == links.replace("[a](examples/library.py)", "a")


@pytest.mark.parametrize("text", ['<img src="a/b.svg" alt="words">', "![words](a/b.svg)"])
def test_a_picture_leads_to_itself_so_that_a_phone_can_enlarge_it(text: str) -> None:
    assert adapt(text, Path()) == "[![words](a/b.svg)](a/b.svg)"


def test_a_picture_that_has_one_for_phones_keeps_both() -> None:
    both = '<source media="(max-width: 9px)" srcset="a/n.svg">\n<img src="a/b.svg" alt="words">'
    assert adapt(f"<picture>\n{both}\n</picture>", Path()) == (
        f'<a href="a/b.svg"><picture>{both.replace(chr(10), "")}</picture></a>'
    )


def test_the_navigation_has_every_document_once() -> None:
    config = YAML(typ="safe").load(ROOT / "docs" / "site" / "mkdocs.yml")
    named = re.findall(r"[\w/]+\.md", json.dumps(config["nav"]))
    assert sorted(named) == sorted(str(page.relative_to(ROOT)) for page in DOCUMENTS)


def test_the_pictures_of_the_pages_are_in_the_site() -> None:
    shown = {
        (page.parent / name).resolve()
        for page in DOCUMENTS
        for name in re.findall(r'(?:src="|srcset="|!\[[^\]]*\]\()([\w/.-]+\.svg)', page.read_text())
    }
    assert shown
    assert shown <= {ROOT / page for page in pages()}


def run_mkdocs(staged: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [str(PYTHON), "-m", "mkdocs", "build", "--strict"]
    config = ["--config-file", str(staged / "mkdocs.yml"), "--site-dir", str(site)]
    return subprocess.run([*command, *config], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("site") / "built"
    done = subprocess.run(
        [PYTHON, "-m", "docs.site.build", place],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return place


@pytest.mark.site
@pytest.mark.parametrize("wrong", ["docs/gone.md", "docs/remote.md#gone", "#gone"])
def test_a_link_that_leads_nowhere_fails_the_build(wrong: str, tmp_path: Path) -> None:
    stage(tmp_path)
    with (tmp_path / "pages" / "README.md").open("a") as page:
        page.write(f"\n[x]({wrong})\n")
    assert run_mkdocs(tmp_path, tmp_path / "site").returncode == 1


@pytest.mark.site
def test_each_picture_of_the_first_page_can_be_opened_alone(site: Path) -> None:
    text = (site / "index.html").read_text(encoding="utf-8")
    opened = re.findall(r'<a href="([^"]+\.svg)">(?:<picture><source [^>]*>)?<img', text)
    assert len(opened) == len(re.findall(r"<img [^>]*\.svg", text)) > 3
    assert all((site / unquote(name)).is_file() for name in opened)


@pytest.mark.site
def test_each_page_is_there_and_asks_no_other_server(site: Path) -> None:
    found = sorted(site.rglob("index.html"))
    assert len(found) == len(DOCUMENTS)
    for page in found:
        html = page.read_text(encoding="utf-8")
        assert not re.findall(r'(?:src|<link[^>]* href)="(?:https?:)?//[^"]*', html), page
        for link in re.findall(r'(?:href|src)="([^":#?]+)[#?"]', html):
            target = page.parent / unquote(link)
            assert (target / "index.html" if target.is_dir() else target).exists(), (page, link)


@pytest.fixture
def address(site: Path) -> Iterator[str]:
    """Serve the site, with the probe, on the loopback."""
    names = [str(page.parent.relative_to(site)) for page in site.rglob("index.html")]
    listed = json.dumps([f"{name}/" for name in names])
    probe = PROBE.replace("PAGES", listed).replace("WIDTH", str(PHONE))
    (site / "probe.html").write_text(probe, encoding="utf-8")
    handler = partial(_Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.mark.site
@pytest.mark.skipif(BROWSER is None, reason="NOT LOOKED AT: there is no chromium on this machine")
@pytest.mark.parametrize(("scheme", "is_dark"), [("1", False), ("0", True)])
def test_a_browser_shows_each_page_within_a_phone_in_light_and_in_dark(
    scheme: str, is_dark: bool, address: str, tmp_path: Path
) -> None:
    dom = subprocess.run(
        [
            *(str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu"),
            *(f"--blink-settings=preferredColorScheme={scheme}", f"--user-data-dir={tmp_path}"),
            *("--timeout=60000", "--dump-dom", f"{address}/probe.html"),
        ],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    (found,) = re.findall(r"<pre>(.*?)</pre>", dom)
    shown = json.loads(found)
    assert len(shown) == len(DOCUMENTS)
    for page, (width, colour) in shown.items():
        assert width <= PHONE, page
        assert (max(map(int, re.findall(r"\d+", colour)[:3])) < 100) == is_dark, page
