"""What the console can show: letters that its encoding lacks, and names that would steer it."""

import codecs
import io
import sys

_PLAIN = {"×": "x", "Ø": "dia.", "ø": "dia.", "→": "->", "…": "...", "°": " deg", "≥": ">="}
_PLAIN |= dict.fromkeys("–—·−", "-") | dict.fromkeys("“”", '"') | {"≤": "<=", "’": "'", "ß": "ss"}
"""What stands for letters of ours; others lose their accents or are escaped."""


def adapt() -> None:
    """From now on what is printed never fails for the console's encoding: "cm³" becomes "cm3"."""
    codecs.register_error("voxgan_jax.plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="voxgan_jax.plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    """The handler of `codecs` for what cannot be encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    import unicodedata

    said = []
    for letter in error.object[error.start : error.end]:
        plain = _PLAIN.get(letter, unicodedata.normalize("NFKD", letter))
        plain = "".join(part for part in plain if not unicodedata.combining(part))
        said.append(
            plain if plain.isascii() else letter.encode("ascii", "backslashreplace").decode()
        )
    return "".join(said), error.end
