"""How the words of a command line are read: negative values, both spellings, errors in one line."""

import argparse
import difflib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

_VALUE = re.compile(r"-(\.?\d|[xyz]$)")
"""How a value begins that argparse would take for an option: -1,0,0 or -z."""

_UNKNOWN = re.compile(r"(?:unrecognized arguments: |invalid choice: )(['\"]?)(\S+?)\1(?: |$)")


class Parser(argparse.ArgumentParser):
    """One that takes -1,0,0 and -z as values, --whole_cube as --whole-cube, and names the nearest
    where a word is unknown."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._negative_number_matcher = _VALUE

    def parse_known_args(  # type: ignore[override]
        self, args: Any = None, namespace: Any = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """As argparse, but what this command does not know it says itself, not the one above."""
        words = self._as_spelt(sys.argv[1:] if args is None else args)
        known, rest = super().parse_known_args(words, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return known, rest

    def _as_spelt(self, words: Sequence[str]) -> list[str]:
        """Options were once spelt with "_"; what follows "--" are files."""
        spelt = list(words)
        for place, word in enumerate(spelt):
            if word == "--":
                break
            name, equals, value = word.partition("=")
            if name.startswith("--") and name not in self._option_string_actions:
                spelt[place] = f"--{name[2:].replace('_', '-')}{equals}{value}"
        return spelt

    def error(self, message: str) -> NoReturn:
        """End with 2 and one line."""
        from voxgan_jax.files import readable

        hint = f"see {self.prog} --help"
        unknown = _UNKNOWN.search(message)
        near = unknown and difflib.get_close_matches(unknown[2].split("=")[0], self._words(), 1)
        if near:
            hint = f"did you mean {near[0]}? {hint}"
        self.exit(2, readable(f"{self.prog}: {message}; {hint}") + "\n")

    def _words(self) -> Iterator[str]:
        """All options, and all words that one can choose from."""
        for action in self._actions:
            yield from action.option_strings
            yield from map(str, action.choices or ())
