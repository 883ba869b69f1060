"""What the terminal sends, taken apart: replies are never keys, and keys are never lost."""

from __future__ import annotations

import random

import pytest

from skillos_tui.terminal.input import Escape, Input, Item, Paste, Query, Reply, Sequence, Typed

OSC = b"\x1b]11;rgb:1a1a/1b1b/2626\x1b\\"
BEL = b"\x1b]11;rgb:1a1a/1b1b/2626\x07"
REPLIES = {
    OSC: Query.BACKGROUND,
    BEL: Query.BACKGROUND,
    b"\x1b[?62;22c": Query.ATTRIBUTES,
    b"\x1b[0n": Query.STATUS,
    b"\x1b[?2026;2$y": Query.MODE,
    b"\x1b[24;80R": Query.POSITION,
    b"\x1b[1;2R": Query.POSITION,
}
UNASKED = (
    b"\x1b]11;rgb:ffff/ffff/ffff\x07",
    b"\x1b]10;rgb:aaaa/vvvv/uuuu\x1b\\",
    b"\x1b]52;c;YXB1YXY=\x1b\\",
    b"\x1b]l a v u \x1b\\",
    b"\x1bP>|tmux 3.4 a v u\x1b\\",
    b"\x1bP1+r436f=323536\x1b\\",
    b"\x1b_Gi=31;OK a v u\x1b\\",
    b"\x1b^a v u\x1b\\",
    b"\x1bXa v u\x1b\\",
    b"\x1b[?62;22c",
    b"\x1b[>41;354;0c",
    b"\x1b[0n",
    b"\x1b[?997;1n",
    b"\x1b[?25u",
    b"\x1b[?2026;2$y",
    b"\x1b[24;80R",
    b"\x1b[8;24;80t",
)
KEYS: tuple[tuple[bytes, Item], ...] = (
    (b"j", Typed(b"j")),
    ("é".encode(), Typed("é".encode())),
    (b"\r", Typed(b"\r")),
    (b"\x1b[A", Sequence(b"\x1b[A")),
    (b"\x1bOP", Sequence(b"\x1bOP")),
    (b"\x1b[1;2R", Sequence(b"\x1b[1;2R")),
    (b"\x1b[15;5~", Sequence(b"\x1b[15;5~")),
    (b"\x1b[[A", Sequence(b"\x1b[[A")),
    (b"\x1b[3$", Sequence(b"\x1b[3$")),
    (b"\x1b[c", Sequence(b"\x1b[c")),
    (b"\x1b[97;5u", Sequence(b"\x1b[97;5u")),
    (b"\x1bx", Sequence(b"\x1bx")),
    ("\x1bé".encode(), Sequence("\x1bé".encode())),
    (b"\x1b[<0;12;7M", Sequence(b"\x1b[<0;12;7M")),
    (b"\x1b[M a9", Sequence(b"\x1b[M a9")),
    (b"\x1b[I", Sequence(b"\x1b[I")),
    (b"\x1b[48;40;120;800;960t", Sequence(b"\x1b[48;40;120;800;960t")),
    (b"\x1b[200~aaa\x1b[A\x1b]11;x\x07vu\x1b[201~", Paste(b"aaa\x1b[A\x1b]11;x\x07vu")),
)


def read(source: Input, *pieces: bytes, apart: float = 0.0) -> list[Item]:
    """All items of pieces that come so many seconds apart, with the clock ticking as the driver lets it."""
    items: list[Item] = []
    now = 0.0
    for piece in pieces:
        items += source.feed(piece, now)
        until = now + apart
        while source.deadline is not None and source.deadline <= until:
            now = source.deadline
            items += source.tick(now)
        now = until
    while source.deadline is not None:
        items += source.tick(source.deadline)
    return items


def joined(items: list[Item]) -> list[Item]:
    """The items without replies, neighbouring typed text in one."""
    found: list[Item] = []
    for item in items:
        if isinstance(item, Typed) and found and isinstance(found[-1], Typed):
            found[-1] = Typed(found[-1].text + item.text)
        elif not isinstance(item, Reply):
            found.append(item)
    return found


@pytest.mark.parametrize("apart", [0.0, 0.05, 0.2, 3.0])
@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_split_at_any_byte_is_never_a_key_whenever_the_rest_comes(reply: bytes, apart: float) -> None:
    for cut in range(len(reply) + 1):
        source = Input()
        source.expect(REPLIES[reply])
        items = read(source, reply[:cut], reply[cut:], b"j", apart=apart)
        keys = [item for item in items if not isinstance(item, Reply)]
        early = {1: [Escape()], 2: [Sequence(reply[:2])]}.get(cut, []) if apart >= 0.1 else []
        assert keys == [*early, Typed(b"j")], cut
        assert Reply(reply, REPLIES[reply]) in items
        assert not source.asked(REPLIES[reply])


@pytest.mark.parametrize("reply", REPLIES)
def test_a_reply_that_dribbles_in_gives_its_first_two_bytes_at_most_as_keys(reply: bytes) -> None:
    source = Input()
    source.expect(REPLIES[reply])
    keys = joined(read(source, *(reply[at : at + 1] for at in range(len(reply))), apart=1.0))
    assert keys[0] == Escape()
    assert b"".join(key.text for key in keys[1:] if isinstance(key, Typed)) == reply[1:3]


@pytest.mark.parametrize("reply", UNASKED)
def test_reports_and_control_strings_that_nobody_asked_for_are_no_keys_either(reply: bytes) -> None:
    for cut in (0, *range(3, len(reply))):
        assert joined(read(Input(), reply[:cut], reply[cut:], b"j", apart=3.0)) == [Typed(b"j")], cut


@pytest.mark.parametrize(("data", "item"), KEYS)
def test_keys_the_mouse_and_pastes_pass_also_while_every_reply_but_that_of_a_cursor_is_awaited(
    data: bytes, item: Item
) -> None:
    source = Input()
    for query in set(Query) - {Query.POSITION}:
        source.expect(query)
    assert joined(read(source, data)) == [item]
    for cut in range(1, len(data)):
        assert joined(read(source, data[:cut], data[cut:], apart=0.01)) == [item], cut


def test_escape_and_alt_keys_are_keys_after_a_moment() -> None:
    for data in (b"\x1b", b"\x1b[", b"\x1b]", b"\x1bP", b"\x1bO"):
        source = Input()
        assert source.feed(data, 0.0) == []
        assert source.tick(0.09) == []
        assert source.tick(0.11) == [Escape() if data == b"\x1b" else Sequence(data)]
        assert source.deadline is None
    assert read(Input(), b"\x1b", b"[", b"1", b"q", apart=1.0) == [Escape(), Typed(b"["), Typed(b"1"), Typed(b"q")]
    assert read(Input(), b"\x1b\x1b[A") == [Escape(), Sequence(b"\x1b[A")]


def test_an_arrow_whose_escape_arrived_early_is_no_letter() -> None:
    assert read(Input(), b"\x1b", b"[A", apart=0.2) == [Escape(), Sequence(b"\x1b[A")]


def test_a_reply_that_never_ends_does_not_keep_keys() -> None:
    for begun in (b"\x1b]11;rgb:1a", b"\x1bP>|x", b"\x1b[?62;"):
        source = Input()
        source.expect(Query.BACKGROUND)
        source.feed(begun, 0.0)
        assert source.feed(b"\x1b[A", 5.0) == [Sequence(b"\x1b[A")], begun
        assert source.feed(b"j", 6.0) == [Typed(b"j")]
    source.feed(b"\x1b]11;rgb:1a", 0.0)
    assert source.feed(b"jq", 5.0) == [Typed(b"jq")]


def test_a_paste_keeps_its_text_over_reads_and_a_split_end() -> None:
    text = b"av\x1b[201~"[:-1] + "é".encode() + b"u" * 9000 + OSC
    data = b"\x1b[200~" + text + b"\x1b[201~"
    for size in (1, 3, 4096):
        pieces = [data[at : at + size] for at in range(0, len(data), size)]
        assert read(Input(), *pieces, b"j", apart=0.5 if size > 1 else 0.001) == [Paste(text), Typed(b"j")]


def test_a_paste_without_an_end_is_dropped_after_a_silence() -> None:
    source = Input()
    source.feed(b"\x1b[200~aaa", 0.0)
    assert source.feed(b"vvv", 9.0) == []
    assert source.tick(source.deadline or 0.0) == []
    assert source.feed(b"j", 30.0) == [Typed(b"j")]


def test_many_different_characters_at_once_are_pasted_and_a_few_or_the_same_are_typed() -> None:
    assert read(Input(), b"jjrva\rq") == [Typed(b"jjrva\rq")]
    assert read(Input(), b"j" * 200) == [Typed(b"j" * 200)]
    text = b"approve all of these edits, please\r"
    source = Input()
    assert source.feed(text, 0.0) == [Typed(text, burst=True)]
    assert source.feed(b"aa", 0.1) == [Typed(b"aa", burst=True)]
    assert source.feed(b"aa", 1.0) == [Typed(b"aa")]


def test_random_streams_give_the_same_items_however_they_are_cut() -> None:
    dice = random.Random(7)
    for _ in range(300):
        stream = b"".join(dice.choice((*REPLIES, *UNASKED, *(key for key, _ in KEYS))) for _ in range(20))
        whole = joined(read(Input(), stream))
        cuts = sorted(dice.sample(range(1, len(stream)), 12))
        pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
        source = Input()
        assert [i for i in joined(read(source, *pieces)) if not isinstance(i, Typed)] == [
            i for i in whole if not isinstance(i, Typed)
        ]
