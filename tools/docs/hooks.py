"""What mkdocs adds to the files of docs/: pages that are written elsewhere, and links to them.

README.md is the first page of the site, CONTRIBUTING.md and CHANGELOG.md are pages too, each script
of examples/ is one, and the help of the commands is put below reference/command-line.md. A link in
a page names the file in the repository; on the site it leads to the page of that file.
"""

from __future__ import annotations

import argparse
import ast
import logging
import os
import posixpath
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(
    r"^```.*?^```$"  # code, which holds no link: a block, or a span
    r"|\[((?:`[^`\n]+`|[^\]`])+)\]\(([^)#\s:]+)(#[^)\s]*)?\)"
    r"|`[^`\n]+`",
    re.MULTILINE | re.DOTALL,
)
FETCHED = re.compile(
    r"""<(?:script|img|iframe|source|video)\b[^>]*\bsrc=["']?((?:https?:)?//[^"'\s>]+)"""
    r"""|<link\b(?=[^>]*\brel=["']?(?:stylesheet|preconnect|preload|icon))"""
    r"""[^>]*\bhref=["']?((?:https?:)?//[^"'\s>]+)"""
)
LOG = logging.getLogger("mkdocs.hooks")
MOVED = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "examples": "examples/index.md",
    **{
        f"examples/{path.name}": f"examples/{path.stem}.md"
        for path in sorted((ROOT / "examples").glob("*.py"))
    },
}
"""The page of each file that is not in docs/."""
SOURCES = {page: source for source, page in MOVED.items()}


def on_files(files, config):
    """Add the pages whose text is not in docs/."""
    pages = {
        page: (ROOT / source).read_text("utf-8")
        for source, page in MOVED.items()
        if source.endswith(".md")
    }
    scripts = {page: source for source, page in MOVED.items() if source.endswith(".py")}
    pages |= {page: example(ROOT / source) for page, source in scripts.items()}
    pages["examples/index.md"] = examples([ROOT / source for source in scripts.values()])
    from mkdocs.structure.files import File

    for page, text in pages.items():
        files.append(File.generated(config, page, content=text))
    return files


def on_page_markdown(markdown, page, **_):
    """Let links to files of the repository lead to their pages."""
    name = page.file.src_uri
    if name == "reference/command-line.md":
        markdown += helps()
    return markdown if name.startswith("examples/") else linked(markdown, name)


def on_post_page(output, page, **_):
    """Warn of what a reader's browser would fetch from elsewhere."""
    for fetched in FETCHED.findall(output):
        LOG.warning("%s fetches %s", page.file.src_uri, fetched)
    return output


def linked(markdown: str, page: str) -> str:
    """Return the text of a page with its links between files as links between pages."""
    source = SOURCES.get(page, f"docs/{page}")

    def replaced(match: re.Match[str]) -> str:
        text, target, anchor = match.groups()
        if text is None:
            return match.group()
        file = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        to = MOVED.get(file, file.removeprefix("docs/"))
        if to == file and (ROOT / file).exists():  # in the repository, but no page
            return text
        return f"[{text}]({posixpath.relpath(to, posixpath.dirname(page) or '.')}{anchor or ''})"

    return LINK.sub(replaced, markdown)


def example(path: Path) -> str:
    """Return the page of a script: its docstring, then its text."""
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    title, _, rest = (ast.get_docstring(tree) or "").partition("\n")
    code = "\n".join(text.splitlines()[tree.body[0].end_lineno :]).strip()
    return f"# {path.name}\n\n{title}\n{rest}\n\n```python\n{code}\n```\n"


def examples(paths: list[Path]) -> str:
    """Return the page that lists the scripts."""
    rows = []
    for path in paths:
        said = (ast.get_docstring(ast.parse(path.read_text("utf-8"))) or "").partition("\n")[0]
        rows.append(f"- [{path.stem}]({path.stem}.md): {said}")
    return (
        "# Examples\n\nComplete scripts, each of which the tests run. "
        "`python examples/NAME.py` runs one in a checkout.\n\n" + "\n".join(rows) + "\n"
    )


def helps() -> str:
    """Return the help of each command of the command line."""
    from wengert.cli.main import build_parser

    os.environ["COLUMNS"] = "88"
    parser = build_parser()
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return "".join(
        f"\n## wengert {name}\n\n```text\n{command.format_help()}```\n"
        for name, command in commands.choices.items()
    )
