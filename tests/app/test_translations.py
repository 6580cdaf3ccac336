"""The Chinese catalogue is complete, consistent and compiled."""

from __future__ import annotations

import re
from pathlib import Path

from babel.messages.catalog import Message
from babel.messages.extract import DEFAULT_KEYWORDS, extract_from_dir
from babel.messages.frontend import parse_mapping_cfg
from babel.messages.mofile import read_mo
from babel.messages.pofile import read_po

import app

APP = Path(app.__file__).parent
TRANSLATIONS = APP / "translations"
COMPILED = TRANSLATIONS / "zh_Hans" / "LC_MESSAGES" / "messages.mo"
SOURCE = COMPILED.with_suffix(".po")
KEYWORDS = DEFAULT_KEYWORDS | {"_l": None, "lazy_gettext": None}
HINT = "run: make messages"
PLACEHOLDER = re.compile(r"%\(\w+\)s|\{\w+\}|<[^>]+>")
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def catalogue() -> list[Message]:
    with SOURCE.open("rb") as file:
        return [message for message in read_po(file, locale="zh_Hans") if message.id]


def singular(message: Message) -> str:
    return texts(message.id)[0]


def texts(value: str | list[str] | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def in_use() -> set[str]:
    with (TRANSLATIONS / "babel.cfg").open() as file:
        methods, options = parse_mapping_cfg(file)
    found = extract_from_dir(str(APP), methods, options, keywords=KEYWORDS)
    return {texts(message)[0] for _, _, message, _, _ in found}


def is_wrong(message: Message) -> bool:
    """Return whether a translation is unfinished, not Chinese, or lacks a placeholder or tag."""
    needed = set(PLACEHOLDER.findall(texts(message.id)[-1]))
    return message.fuzzy or any(
        not CHINESE.search(text) or set(PLACEHOLDER.findall(text)) != needed for text in texts(message.string)
    )


def test_the_catalogue_has_exactly_the_texts_of_pages_and_code() -> None:
    assert {singular(message) for message in catalogue()} == in_use(), HINT


def test_every_text_is_translated_with_its_placeholders() -> None:
    assert [singular(message) for message in catalogue() if is_wrong(message)] == []


def test_the_compiled_catalogue_is_current() -> None:
    with COMPILED.open("rb") as file:
        compiled = {singular(message): texts(message.string) for message in read_mo(file) if message.id}
    assert compiled == {singular(message): texts(message.string) for message in catalogue()}, HINT
