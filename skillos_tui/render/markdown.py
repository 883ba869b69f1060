"""Markdown as styled lines, for panes: headings, lists, code, quotes and tables, from the tokens of markdown-it-py.

    for item in markdown_lines(text): ...

A Markdown widget of Textual takes six seconds for a text with 100 code fences; lines take milliseconds. Text is untrusted:
it is made safe, HTML is shown as text, and a link shows where it leads. The frontmatter of a skill is shown as it is.
No text is left out: definitions of links, titles, and what Markdown would not show are shown as they are written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len

from skillos_tui.render.text import Line, line, safe, text_lines

if TYPE_CHECKING:
    from markdown_it.token import Token

MAX_CHARACTERS = 100_000
"""A longer text is cut after so many characters, and says so."""
MAX_INLINE = 5_000
"""A longer paragraph is shown as it is written: the time of parsing one grows with the square of its length."""
MAX_NESTING = 20
"""A text whose lists and quotes are nested more deeply is shown as it is written: the parser leaves out what is deeper."""
MAX_COLUMN = 60
"""Characters of a column of a table; a longer cell takes more, and moves the columns after it."""
RULE = "─" * 24


def markdown_lines(text: str) -> list[Line]:
    """The lines of a Markdown text; those of its frontmatter first."""
    from markdown_it import MarkdownIt  # 30 ms, and the first paint has no Markdown

    head, body = _split(text[:MAX_CHARACTERS].replace("\r\n", "\n").replace("\r", "\n"))
    lines = [_frontmatter(row) for row in head]
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_NESTING})
    parser.enable(["table", "strikethrough"]).disable(["reference", "inline"])
    tokens = parser.parse(body)
    if any(token.nesting == 1 and token.level + 1 >= MAX_NESTING for token in tokens):
        lines += [
            line("warn:nested too deeply for the rendered view; as it is written:"),
            *text_lines(body, limit=len(body)),
        ]
    else:
        for token in tokens:
            if token.children is not None and len(token.content) <= MAX_INLINE:
                parser.inline.parse(token.content, parser, {}, token.children)
        lines += _blocks(tokens, body.split("\n"))
    if len(text) > MAX_CHARACTERS:
        lines.append(line(f"muted:… {len(text) - MAX_CHARACTERS:,} more characters; the raw view has them"))
    return lines


def _split(text: str) -> tuple[list[str], str]:
    """The rows of the frontmatter with its fences, and the rest of the text."""
    rows = text.split("\n")
    if rows[0].removeprefix("\ufeff").rstrip() == "---":  # a byte order mark is no part of the fence
        for at, row in enumerate(rows[1:], start=1):
            if row.rstrip() in ("---", "..."):
                return rows[: at + 1], "\n".join(rows[at + 1 :])
    return [], text


def _frontmatter(row: str) -> Line:
    key, colon, value = row.partition(":")
    if not colon or key != key.strip() or not key:
        return line(f"muted:{row}")
    return line(f"accent:{key}", f"muted:{colon}", f":{value}", indent=min(len(key) + 2, 16))


def _blocks(tokens: Sequence[Token], source: Sequence[str]) -> list[Line]:
    """The lines of block tokens, made of the rows of `source`; the prefixes of lists and quotes are carried along."""
    lines: list[Line] = []
    prefixes: list[str] = []
    bullets: list[int | None] = []
    marker, signs, quiet = "", "", False
    cells: list[list[Line]] | None = None
    written: Sequence[str] = ()
    for token in tokens:
        match token.type:
            case "bullet_list_open":
                bullets.append(None)
            case "ordered_list_open":
                bullets.append(int(token.attrs.get("start", 1)))
            case "bullet_list_close" | "ordered_list_close":
                bullets.pop()
                if not bullets:
                    _space(lines)
            case "list_item_open":
                number = bullets[-1]
                marker = "• " if number is None else f"{number}. "
                if number is not None:
                    bullets[-1] = number + 1
                prefixes.append(" " * len(marker))
                quiet = True
            case "list_item_close":
                prefixes.pop()
                marker, quiet = "", False
            case "blockquote_open":
                prefixes.append("│ ")
            case "blockquote_close":
                prefixes.pop()
                _space(lines)
            case "table_open":
                cells, written = [], source[slice(*(token.map or (0, 0)))]
            case "tr_open" if cells is not None:
                cells.append([])
            case "table_close" if cells is not None:
                lines += _table(cells, written)
                cells = None
                _space(lines)
            case "inline" if cells:
                cells[-1].append(Line(tuple(_spans(token, ""))))
            case "heading_open":
                signs = f"{token.markup} " if token.markup.startswith("#") else "# "
            case "inline":
                lines += _paragraph(token, _first(prefixes, marker), "".join(prefixes), signs)
                marker = signs = ""
            case "paragraph_close" if not quiet or not token.hidden:
                _space(lines)
            case "heading_close":
                _space(lines)
            case "fence" | "code_block":
                lines += _code(token, _first(prefixes, marker), "".join(prefixes))
                marker = ""
                _space(lines)
            case "hr":
                lines.append(line(f"muted:{RULE}"))
                _space(lines)
            case "html_block":
                lines += [line(f"muted:{''.join(prefixes)}{row}") for row in token.content.rstrip("\n").split("\n")]
    while lines and not lines[-1].spans:
        lines.pop()
    return lines


def _first(prefixes: list[str], marker: str) -> str:
    """The prefix of the first row of a block: that of a list item ends with its marker."""
    whole = "".join(prefixes)
    return whole[: len(whole) - len(marker)] + marker if marker else whole


def _space(lines: list[Line]) -> None:
    """One empty line, unless there is one."""
    if lines and lines[-1].spans:
        lines.append(Line(()))


def _paragraph(token: Token, first: str, rest: str, signs: str) -> Iterator[Line]:
    """The rows of a paragraph, or of a heading, which keeps its # `signs`, so that colour is not its only sign."""
    style = "heading" if signs else ""
    row: list[tuple[str, str]] = [(first, "muted")] if first else []
    row += [(signs, style)] if signs else []
    for text, own in _spans(token, style):
        parts = text.split("\n")
        for at, part in enumerate(parts):
            if at:
                yield Line(tuple(row), len(rest))
                row = [(rest, "muted")] if rest else []
            row += [(part, own)] if part else []
    yield Line(tuple(row), len(rest))


def _spans(token: Token, style: str) -> Iterator[tuple[str, str]]:
    """The pieces of inline text with their styles; code, emphasis and links keep a sign of their own."""
    if not token.children:  # a paragraph that is too long to be parsed
        yield "\n".join(safe(row) for row in token.content.split("\n")), style
    styles = [style]
    links: list[str] = []
    for child in token.children or ():
        match child.type:
            case "text" | "html_inline":
                yield safe(child.content), styles[-1]
            case "softbreak":
                yield " ", styles[-1]
            case "hardbreak":
                yield "\n", styles[-1]
            case "code_inline":
                yield f"`{safe(child.content)}`", "code"
            case "strong_open":
                styles.append("strong")
            case "em_open":
                styles.append("thought")
            case "s_open":
                styles.append("muted")
            case "link_open":
                links.append(_place(child, "href"))
                styles.append("link")
            case "link_close":
                styles.pop()
                yield f" ({links.pop()})", "muted"
            case "image":
                yield f"[image: {safe(child.content)}] ({_place(child, 'src')})", "muted"
            case "strong_close" | "em_close" | "s_close":
                styles.pop()
            case _:
                yield safe(child.content), styles[-1]


def _place(token: Token, key: str) -> str:
    """Where a link or an image leads, and its title."""
    title = str(token.attrGet("title") or "")
    return safe(str(token.attrGet(key) or "")) + (f' "{safe(title)}"' if title else "")


def _code(token: Token, first: str, rest: str) -> Iterator[Line]:
    """A block of code, with its fence."""
    yield line(f"muted:{first}```{token.info.strip()}")
    for row in token.content.rstrip("\n").split("\n"):
        yield Line(((rest, "muted"), (safe(row), "code")) if rest else ((safe(row), "code"),), len(rest) + 2)
    yield line(f"muted:{rest}```")


def _table(rows: Sequence[Sequence[Line]], written: Sequence[str]) -> Iterator[Line]:
    """A table, its columns as wide as their widest cell; the first row is its head. As it is `written` where a row has more
    cells than the head, which Markdown leaves out."""
    if any(_bars(row) > len(rows[0]) - 1 for row in written):
        yield from (line(f":{row}") for row in written)
        return
    whole = [["".join(text for text, _ in cell.spans) for cell in row] for row in rows]
    widths = [
        min(MAX_COLUMN, max(cell_len(row[at]) if at < len(row) else 0 for row in whole)) for at in range(len(whole[0]))
    ]
    for number, row in enumerate(whole):
        cells = [cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=False)]
        yield line(f"{'strong' if number == 0 else ''}:{' │ '.join(cells).rstrip()}")
        if number == 0:
            yield line(f"axis:{'─┼─'.join('─' * width for width in widths)}")


def _bars(row: str) -> int:
    """The bars between the cells of a row of a table."""
    inner = row.strip(" \t>").removeprefix("|")
    inner = inner[:-1] if inner.endswith("|") and not inner.endswith("\\|") else inner
    return inner.count("|") - inner.count("\\|")
