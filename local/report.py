"""What was asked of an account, what was expected, and what was seen: as a page."""

import datetime
import re

OK, DIFFERENT, NOT_ASKED = "as expected", "DIFFERENT", "not asked here"


def one_line(text, limit=400):
    text = " ".join(str(text).split())
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Report:
    def __init__(self, title):
        self.title, self.begun = title, datetime.datetime.now(datetime.timezone.utc)
        self.chapters, self.hidden, self.facts = [], [], []

    def hide(self, value, shown):
        """This value never gets into the report. The report is made to be passed on."""
        if value:
            self.hidden.append((value, shown))

    def fact(self, name, value):
        self.facts.append((name, value))

    def chapter(self, title):
        self.chapters.append({"title": title, "rows": [], "notes": []})

    def row(self, what, expected, seen, result):
        self.chapters[-1]["rows"].append((what, expected, one_line(self.cleaned(str(seen))), result))

    def check(self, what, expected, seen, as_expected):
        self.row(what, expected, seen, OK if as_expected else DIFFERENT)

    def note(self, text):
        """Markdown below the chapter's table: measurements, lines of a log."""
        self.chapters[-1]["notes"].append(text)

    def count(self, result):
        return sum(row[3] == result for chapter in self.chapters for row in chapter["rows"])

    def summary(self):
        return (
            f"{self.count(OK)} as expected, {self.count(DIFFERENT)} different, "
            f"{self.count(NOT_ASKED)} not asked here"
        )

    def markdown(self, ended):
        lines = [f"# {self.title}", "", f"**{self.summary()}.** {ended}", "", "| | |", "|---|---|"]
        began = self.begun.strftime("%Y-%m-%d %H:%M UTC")
        for name, value in [("begun", began), *self.facts]:
            lines.append(f"| {name} | {cell(value)} |")
        for chapter in self.chapters:
            lines += ["", f"## {chapter['title']}"]
            if chapter["rows"]:
                lines += ["", "| step | expected | seen | result |", "|---|---|---|---|"]
                for row in chapter["rows"]:
                    what, expected, seen, result = map(cell, row)
                    result = f"**{result}**" if result == DIFFERENT else result
                    lines.append(f"| {what} | {expected} | {seen} | {result} |")
            for note in chapter["notes"]:
                lines += ["", note]
        return self.cleaned("\n".join(lines) + "\n")

    def cleaned(self, text):
        for value, shown in sorted(self.hidden, key=lambda pair: -len(pair[0])):
            # Not inside of a longer number or word.
            text = re.sub(rf"(?<![0-9A-Za-z]){re.escape(value)}(?![0-9A-Za-z])", shown, text)
        return text

    def write(self, path, ended="The run came to its end."):
        path.write_text(self.markdown(ended), encoding="utf-8")


def cell(text):
    return str(text).replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def distribution(values, unit="s"):
    """-> one line: how many, the least, the median, nine of ten, the most"""
    known = sorted(value for value in values if value is not None)
    if not known:
        return f"none of {len(values)} ended in time"

    def at(share):
        return known[min(len(known) - 1, int(share * len(known)))]

    lost = f", {len(values) - len(known)} not in time" if len(known) < len(values) else ""
    numbers = f"min {known[0]:.2f}, median {at(0.5):.2f}, 90 % {at(0.9):.2f}, max {known[-1]:.2f} {unit}"
    return f"n={len(known)}: {numbers}{lost}"


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(cell, row)) + " |" for row in rows])
