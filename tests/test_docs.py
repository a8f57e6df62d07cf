"""Tests that the documents agree with the program."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cli_pages
from command_line import command_paths, commands, options_of, takes_arguments
from medrov_cli.core.base.errors import ErrorCode, ExitCode, MedrovError

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "examples/*.md", "weights/*.md")
    for path in ROOT.glob(pattern)
)
SHELL_BLOCK = re.compile(r"^```(?:sh|bash|console)\n(.*?)^```", re.DOTALL | re.MULTILINE)
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)|<img[^>]*src=\"([^\"]+)\"")


def section(title: str) -> str:
    """Return the part of the README below a heading."""
    text = README.read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.DOTALL | re.MULTILINE)
    assert found, f"README.md has no section {title!r}"
    return found[1]


def rows(text: str) -> list[list[str]]:
    """Return the cells of a table's body."""
    lines = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in cells] for cells in lines[2:]]


def slugs(path: Path) -> set[str]:
    """Return the anchors that a document's headings make."""
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def quoted_commands(text: str) -> Iterator[list[str]]:
    """Yield the words of every call of ``medrov`` in the shell blocks of a text."""
    for block in SHELL_BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            yield from calls(line.removeprefix("$ "))


def calls(line: str) -> Iterator[list[str]]:
    """Yield the words of every call of ``medrov`` in one line of shell."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";|&()<>")
    lexer.whitespace_split = True
    words: list[str] = []
    for word in [*lexer, ";"]:
        if word[0] not in ";|&()<>":
            words.append(word)
            continue
        while words and re.match(r"[A-Z_]+=", words[0]):
            words.pop(0)
        if words and words[0] == "medrov":
            yield words[1:]
        words = []


def complaint_about(words: list[str]) -> str | None:
    """Return what is wrong with a call of ``medrov``, or null."""
    path: tuple[str, ...] = ()
    for word in words:
        if (*path, word) in commands():
            path = (*path, word)
        elif word.startswith("-") and len(word) > 1:
            if word.split("=")[0] not in options_of(path):
                return f"medrov {' '.join(path)} has no option {word}"
        elif hasattr(commands()[path], "commands") and not takes_arguments(path):
            return f"medrov {' '.join(path)} has no command {word}"
    return None


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("medrov detect a.dcm --classes 'x, y' | jq .", None),
        ("MEDROV_OFFLINE=1 medrov weights list --json > list.json", None),
        ("cd data && medrov detekt a.dcm", "medrov  has no command detekt"),
        ("medrov detect a.dcm --classses x", "medrov detect has no option --classses"),
        ("medrov weights lst", "medrov weights has no command lst"),
        ("medrov pseudolabel a.yaml --flip", None),
        ("medrov pseudolabel apply a.json --flip", "medrov pseudolabel apply has no option --flip"),
    ],
)
def test_the_reader_of_commands_finds_mistakes(line: str, expected: str | None) -> None:
    (words,) = calls(line)
    assert complaint_about(words) == expected


def test_cli_pages_hold_each_command_once() -> None:
    pages = {path.name: path.read_text(encoding="utf-8") for path in cli_pages.FOLDER.glob("*.md")}
    assert sorted(pages) == cli_pages.page_names()
    for name, text in pages.items():
        assert sorted(cli_pages.quoted_commands(text)) == sorted(cli_pages.commands_of_page(name)), name


@pytest.mark.parametrize("name", cli_pages.page_names())
def test_cli_page_quotes_the_current_helps(name: str) -> None:
    text = (cli_pages.FOLDER / name).read_text(encoding="utf-8")
    assert text == cli_pages.current_page(name), f"docs/cli/{name} is behind: run make docs"


def test_cli_page_without_a_command_gets_its_help(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli_pages, "FOLDER", tmp_path)
    (tmp_path / "pseudolabel.md").write_text(
        "# Mine\n\n<!-- help: medrov pseudolabel -->\noutdated\n<!-- end of help -->\n"
    )
    page = cli_pages.current_page("pseudolabel.md")
    assert page.startswith("# Mine\n")
    assert "outdated" not in page
    assert cli_pages.quoted_commands(page) == [("pseudolabel",), ("pseudolabel", "apply")]
    assert "Usage: medrov pseudolabel apply" in page


def test_readme_links_to_the_page_of_each_command_group() -> None:
    links = {target for target, _ in LINK.findall(section("Commands"))}
    assert {f"docs/cli/{name}" for name in cli_pages.page_names()} <= links
    listed = [row[0].strip("`") for row in rows(section("Commands"))]
    assert sorted(listed) == sorted(" ".join(["medrov", *path]) for path in command_paths() if len(path) == 1)


def test_readme_begins_with_the_research_use_notice() -> None:
    lines = README.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 250
    assert lines[0] == "# medrov"
    assert lines[2].startswith("> **Research use only. Not a medical device.**")


def test_readme_has_every_section() -> None:
    titles = (
        "What it is",
        "Two commands",
        "Commands",
        "Results",
        "Exit codes",
        "Error codes",
        "Privacy",
        "Licence",
    )
    for title in titles:
        assert section(title).strip()


def test_readme_and_contract_have_the_same_exit_codes() -> None:
    assert [int(code) for code, _ in rows(section("Exit codes"))] == [code.value for code in ExitCode]


def test_readme_lists_every_error_code_with_its_exit_code() -> None:
    listed = {code.strip("`"): int(exit_code) for code, exit_code, _ in rows(section("Error codes"))}
    assert listed == {code.value: int(MedrovError(code, "").exit_code) for code in ErrorCode}


def test_ci_runs_the_two_commands_of_the_readme() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    blocks = SHELL_BLOCK.findall(section("Two commands"))
    assert len(blocks) == 2
    for command in [command for block in blocks for command in block.strip().split(" && ")]:
        assert re.search(rf"^{re.escape(command)}( \|\|.*)?$", script, re.MULTILINE), command


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_quoted_command_exists(path: Path) -> None:
    wrong = [complaint_about(words) for words in quoted_commands(path.read_text(encoding="utf-8"))]
    assert not [complaint for complaint in wrong if complaint]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    for link in (a or b for a, b in LINK.findall(path.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), f"{path.name} links to {link}"
        assert target.is_relative_to(ROOT), f"{path.name} links out of the project: {link}"
        assert not anchor or anchor in slugs(target), f"{path.name} links to {link}"


@pytest.mark.parametrize("name", ["docs/privacy.md", "docs/reliability.md", "SECURITY.md"])
def test_the_tests_of_promises_exist(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", text)
    assert named
    for file, function in named:
        source = (ROOT / file).read_text(encoding="utf-8")
        assert not function or f"def {function}(" in source, f"{file} has no {function}"


def test_the_changelog_knows_the_present_version() -> None:
    from medrov_cli import __version__

    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_architecture_names_places_that_exist() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    package = ROOT / "src" / "medrov_cli"
    places = set(re.findall(r"`([\w/.]+(?:\.py|/))`", text))
    assert len(places) > 20
    assert not [place for place in places if not ((package / place).exists() or (ROOT / place).exists())]


def test_the_code_of_the_python_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All blocks in order, as in one notebook; the images are those of the examples."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "images").mkdir()
    shutil.copy(ROOT / "examples" / "chest_ct.dcm", "chest.dcm")
    shutil.copy(ROOT / "examples" / "blood_smear.png", "images")
    (tmp_path / "images" / "broken.png").write_bytes(b"no image")
    page = ROOT / "docs" / "python.md"
    blocks = PYTHON_BLOCK.findall(page.read_text(encoding="utf-8"))
    assert len(blocks) > 5
    names: dict[str, Any] = {}
    for block in blocks:
        exec(compile(block, str(page), "exec"), names)
    printed = capsys.readouterr().out
    assert "chest.dcm 0 CT" in printed
    assert "not_found The file does not exist." in printed
    assert f"{Path('images', 'broken.png')} unsupported_format" in printed
    assert list(names["found"]) == [str(Path("images", "blood_smear.png"))]
    assert len(names["results"]) == 2


def test_the_python_page_names_the_public_names() -> None:
    import medrov_cli

    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    public = [name for name in dir(medrov_cli) if not name.startswith("_")]
    assert len(public) == 8
    assert all(getattr(medrov_cli, name) is not None for name in public)
    assert sorted(re.findall(r"\w+", PYTHON_BLOCK.findall(page)[0])[3:]) == sorted(public)
