"""The READMEs against each other, against the template and the code, and all links within the documentation.

Needs no stack.
"""

import json
import re

import pytest
import yaml

from rendering import Rendered
from tools import ROOT

ENGLISH, JAPANESE = ((ROOT / name).read_text() for name in ("README.md", "README.ja.md"))
BOTH = pytest.mark.parametrize("readme", [ENGLISH, JAPANESE], ids=["README.md", "README.ja.md"])
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
TEMPLATE = Rendered().template


def without_code(text):
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)


def code_blocks(text):
    """The blocks, without comments: those are in the reader's language."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [(kind, re.sub(r" *(?<!\S)#\s.*", "", body)) for kind, body in blocks]


def code_spans(text):
    return set(re.findall(r"`([^`\n]+)`", without_code(text)))


def table(text, first, columns):
    """The rows of the table whose header begins with one of these words, as lists of cells."""
    lines = [*text.splitlines(), ""]
    for number, line in enumerate(lines):
        head = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and head[0] in first and len(head) == columns:
            rows = []
            for row in lines[number + 2 :]:
                if not row.startswith("|"):
                    return rows
                rows.append(
                    [cell.strip() for cell in row.strip().removeprefix("|").removesuffix("|").split("|")]
                )
    raise AssertionError(f"there is no table {first}")


def parameters(readme):
    """-> {parameter: default}"""
    found = {}
    for names, defaults, _ in table(readme, ("parameter", "パラメータ"), 3):
        names, defaults = (re.findall(r"`([^`]+)`", cell) for cell in (names, defaults))
        assert len(defaults) in (0, len(names)), names
        found |= dict(zip(names, defaults or [""] * len(names), strict=True))
    return found


def answers(readme):
    """-> [(status, kinds)]"""
    rows = table(readme, ("answer", "応答"), 3)
    return [(status, re.findall(r"`([^`]+)`", kinds)) for status, kinds, _ in rows]


# -- the two languages ---------------------------------------------------------------------------------------


def test_both_languages_have_the_same_commands():
    assert code_blocks(JAPANESE) == code_blocks(ENGLISH)


def test_both_languages_name_the_same_things():
    # Commands, parameters, events, fields, rights and files: everything that is written as code.
    assert code_spans(JAPANESE) - code_spans(ENGLISH) == set()
    assert code_spans(ENGLISH) - code_spans(JAPANESE) == set()


def test_both_languages_have_the_same_parameters_and_answers():
    assert parameters(JAPANESE) == parameters(ENGLISH)
    assert answers(JAPANESE) == answers(ENGLISH)


def test_both_languages_have_the_same_sections_and_sums():
    def levels(text):
        return re.findall(r"^(#+) ", without_code(text), re.MULTILINE)

    def sums(text):
        return sorted(re.findall(r"\$[\d,.]*\d", text))

    assert levels(JAPANESE) == levels(ENGLISH)
    assert sums(JAPANESE) == sums(ENGLISH)


# -- the template and the code -------------------------------------------------------------------------------


@BOTH
def test_the_table_of_parameters_is_the_template_s(readme):
    assert parameters(readme) == {
        name: str(given.get("Default", "")) for name, given in TEMPLATE["Parameters"].items()
    }


@pytest.mark.parametrize("name", ["recipes.md", "recipes.ja.md"])
def test_the_table_of_alarms_is_the_template_s(name):
    rows = table((ROOT / "docs" / name).read_text(), ("alarm", "アラーム"), 3)
    named = [name.strip("`") for name, _, _ in rows]
    alarms = [
        name for name, given in TEMPLATE["Resources"].items() if given["Type"] == "AWS::CloudWatch::Alarm"
    ]
    assert sorted(named) == sorted(alarms)


@BOTH
def test_every_answer_of_the_function_is_in_the_table(readme):
    source = (ROOT / "functions" / "add-ip" / "src" / "http.rs").read_text()
    tests = source[source.index("fn every_kind_has_its_status") :]
    kinds = re.findall(r'\((\d{3}),\s*"([a-z_ ]+)"\)', re.sub(r"\(\s+", "(", re.sub(r",\s*\)", ")", tests)))
    # The gateway never passes on a request that the function answers so.
    coded = {(status, kind) for status, each in kinds for kind in each.split()} - {
        ("405", "method_not_allowed")
    }
    assert len(coded) > 15, "the table of the function's answers is not found"
    gateway = {
        ("429", "throttled"),
        ("4xx", "bad_request"),
        *((status, "gateway_error") for status in ("500", "502", "504")),
    }
    named = {
        (status, kind)
        for statuses, each in answers(readme)
        for status in statuses.split(", ")
        for kind in each
    }
    assert named == coded | gateway


@BOTH
def test_every_command_that_is_named_is_there(readme):
    source = (ROOT / "cli" / "src" / "args.rs").read_text()
    block = source[source.index("pub enum Command {") :]
    block = block[: block.index("\n}\n")]
    commands = {name.lower() for name in re.findall(r"^    ([A-Z]\w+)\b", block, re.MULTILINE)}
    assert len(commands) > 15, "the commands are not found"
    named = set(re.findall(r"ip-gate ([a-z]+)", " ".join(re.findall(r"`[^`\n]+`", readme))))
    assert named and named <= commands, named - commands


def test_the_costs_count_the_alarms():
    alarms = sum(given["Type"] == "AWS::CloudWatch::Alarm" for given in TEMPLATE["Resources"].values())
    costs = (ROOT / "docs" / "costs.md").read_text()
    assert f"| {alarms} alarms \N{MULTIPLICATION SIGN} $0.10 | ${alarms / 10:.2f} |" in costs
    assert f"**{alarms} alarms**" in ENGLISH and f"**{alarms} 個のアラーム**" in JAPANESE
    assert f"with the default of {TEMPLATE['Parameters']['ThrottlingRate']['Default']} a stranger" in ENGLISH


# -- recipes and links ---------------------------------------------------------------------------------------


def test_the_workflow_in_the_recipes_gives_the_action_what_it_takes():
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    recipes = (ROOT / "docs" / "recipes.md").read_text()
    section = recipes[recipes.index("## GitHub\n") :]
    workflow = yaml.safe_load(re.search(r"```yaml\n(.*?)```", section, re.DOTALL)[1])
    (given,) = (step["with"] for step in workflow["jobs"]["deploy"]["steps"] if "with" in step)
    required = {name for name, each in action["inputs"].items() if each.get("required")}
    assert required <= set(given) <= set(action["inputs"])
    rows = {name.strip("`"): default.strip("`") for name, default, _ in table(section, ("input",), 3)}
    assert rows == {name: str(each.get("default", "")) for name, each in action["inputs"].items()}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_somewhere(path):
    text = without_code(path.read_text())
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'<img src="([^"]+)"', text)
    for link in links:
        if re.match(r"[a-z]+:", link):
            assert link.startswith("https://"), link
            continue
        file, _, anchor = link.partition("#")
        target = (path.parent / file).resolve() if file else path
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text()), link


def anchors(text):
    """The anchors of the headings, as GitHub makes them."""
    found = []
    for heading in re.findall(r"^#+ (.+)$", without_code(text), re.MULTILINE):
        words = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower())
        anchor = words.strip().replace(" ", "-")
        found.append(anchor if anchor not in found else f"{anchor}-{found.count(anchor)}")
    return found


def test_the_answers_in_the_readme_are_json():
    (console,) = (body for kind, body in code_blocks(ENGLISH) if kind == "console")
    answered = [json.loads(line) for line in console.splitlines() if not line.startswith("$")]
    assert [answer.get("status", "") for answer in answered] == ["added", "", "removed"]
