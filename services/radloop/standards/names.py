"""Names as they are compared: as text, whatever bytes a system writes them in."""

from unicodedata import normalize


def composed(name: str) -> str:
    """Return a name in Unicode's form NFC, without blanks around: macOS writes é as e and an accent, and one name must not be two."""
    return normalize("NFC", name).strip()
