"""The pages of a validation: every fact is in both, nothing a name holds becomes markup, pictures are inside."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

from helpers.validation_pages import MANY, NAMES, page

from carpet_data.metrics import Estimate
from carpet_data.reporting import pages, validation
from carpet_data.reporting.pages import ComparisonMetrics, ConditionMetrics, ValidationPage, Verdict


class Page(HTMLParser):
    """Tags that are open, addresses that are named, and the text."""

    VOID = frozenset({"meta", "link", "img", "input", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.headings: list[str] = []
        self.without_alt = 0
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.open.append(tag)
        values = dict(attrs)
        self.addresses += [values[name] or "" for name in ("src", "href") if name in values]
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(tag)
        self.without_alt += tag == "img" and not values.get("alt")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """SVG's own way to close; nothing stays open."""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_both_pages_say_everything(tmp_path: Path) -> None:
    facts = page()
    markdown, html = validation.write(tmp_path, facts)
    shown = Page(html.read_text(encoding="utf-8"))
    assert shown.open == []
    assert shown.headings[:2] == ["h2", "h2"] or shown.headings[0] == "h1"
    for text in (shown.text, markdown.read_text(encoding="utf-8")):
        for fact in (
            facts.sentence,
            facts.leak,
            "The weights of resnet18 are not available locally.",
            *NAMES,
            *facts.comparison.classes,
            "AUROC 0.97",
            "p < 0.001",
        ):
            assert fact in text, fact
        assert "6 min 52 s" in text
        assert facts.fingerprint in text
    assert pages.load(tmp_path) == facts


def test_a_name_is_text_and_never_markup(tmp_path: Path) -> None:
    verdict = Verdict("a", "helps", "a <b>c</b> & d", 0.01)
    facts = page(name="<script>alert(1)</script>", verdicts=(verdict,))
    _, html = validation.write(tmp_path, facts)
    text = html.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "<b>" not in text
    assert "&lt;script&gt;" in text


def test_columns_of_the_markdown_tables_agree(tmp_path: Path) -> None:
    markdown, _ = validation.write(tmp_path, page(MANY))
    table: list[int] = []
    seen = 0
    for line in markdown.read_text(encoding="utf-8").splitlines():
        if line.startswith("|"):
            table.append(len(re.findall(r"(?<!\\)\|", line)))
            assert len(set(table)) == 1, line
            seen += 1
        else:
            assert len(table) != 1, "a table's head without its rule"
            table = []
    assert seen > 40


def test_figures_are_inside_the_page_and_beside_the_markdown(tmp_path: Path) -> None:
    markdown, html = validation.write(tmp_path, page())
    shown = Page(html.read_text(encoding="utf-8"))
    assert html.read_text(encoding="utf-8").count("<svg") == 6
    assert shown.without_alt == 0
    assert all(each.startswith(("data:", "#")) for each in shown.addresses)
    links = re.findall(r"!\[[^\]]+\]\(<([^>]+)>\)", markdown.read_text(encoding="utf-8"))
    assert {f"plots/classifier-classify-{name}.png" for name in ("comparison", "classes", "confusion-3")} <= set(links)
    assert all((tmp_path / each).is_file() for each in links)


def test_little_is_enough(tmp_path: Path) -> None:
    bare = {"a": ConditionMetrics({"balanced accuracy": Estimate(None)})}
    found = ComparisonMetrics(("good",), "a", (), False, {}, {}, bare, ())
    facts = ValidationPage("x", "main", "ab", (found,), (Verdict("a", "no evidence", "No.", None),))
    markdown, html = validation.write(tmp_path, facts)
    assert "no test" in markdown.read_text(encoding="utf-8")
    shown = Page(html.read_text(encoding="utf-8"))
    assert shown.open == []
    assert "No evidence" in shown.text
    assert "Paired tests" not in shown.text
