"""Text of guests and files, made fit to be shown."""

import re

# Characters that move the cursor, turn the direction of the line, or that XML 1.0 (2.2) forbids.
_PLAIN = re.compile(r"[ -~\n\t]*")


def visible(text: str) -> str:
    """`text` with what is not printable as Python's escapes; lines and tabs stay."""
    text = text.replace("\r\n", "\n")
    if _PLAIN.fullmatch(text):
        return text
    return "".join(each if each.isprintable() or each in "\n\t" else _escape(each) for each in text)


def _escape(character: str) -> str:
    number = ord(character)
    if number <= 0xFF:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"
