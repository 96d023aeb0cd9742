"""Text that XML can carry."""

import re

_NO_XML = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def clean(text: str) -> str:
    """The same text, with U+FFFD for each character that XML 1.0 has no way to write."""
    return _NO_XML.sub("\ufffd", text)
