"""Written dates with their ISO 8601 form, and where in the text each part of it stands. Pure Python.

Conventions: numbers between slashes are month/day/year (year/month/day if the year comes first), between
dots day.month.year, between hyphens year-month-day. Years are from 1000 to 2999 and always have four digits,
so nothing has to be guessed. A weekday is always the true one of the Gregorian calendar. There is one date
in a text, and no other number.

>>> example = write(date(1987, 3, 3), "the {3rd} of {March}, {1987}", random.Random(0))
>>> example.text, example.iso, example.spans["month"]
('the 3rd of March, 1987', '1987-03-03', (11, 16))"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from string import Formatter, ascii_lowercase

MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
UNITS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth"]
TEENS = [
    "tenth",
    "eleventh",
    "twelfth",
    "thirteenth",
    "fourteenth",
    "fifteenth",
    "sixteenth",
    "seventeenth",
    "eighteenth",
    "nineteenth",
]
ORDINALS = [*UNITS, *TEENS, "twentieth", *(f"twenty-{u}" for u in UNITS), "thirtieth", "thirty-first"]

# What a style is made of, named by how it writes Tuesday, 3 March 1987 ("3d" and "03d" are the day where "3"
# is the month): the part of the date it shows, and how.
FIELDS: dict[str, tuple[str, Callable[[date], str]]] = {
    "1987": ("year", lambda day: f"{day.year:04}"),
    "3": ("month", lambda day: str(day.month)),
    "03": ("month", lambda day: f"{day.month:02}"),
    "March": ("month", lambda day: MONTHS[day.month - 1]),
    "Mar": ("month", lambda day: MONTHS[day.month - 1][:3]),
    "3d": ("day", lambda day: str(day.day)),
    "03d": ("day", lambda day: f"{day.day:02}"),
    "3rd": ("day", lambda day: f"{day.day}{suffix(day.day)}"),
    "third": ("day", lambda day: ORDINALS[day.day - 1]),
    "Tuesday": ("weekday", lambda day: WEEKDAYS[day.weekday()]),
    "Tue": ("weekday", lambda day: WEEKDAYS[day.weekday()][:3]),
}

STYLES = (
    "{3d} {March} {1987}",
    "{March} {3d}, {1987}",
    "{March} {3d} {1987}",
    "{3d} {Mar} {1987}",
    "{Mar} {3d}, {1987}",
    "{Mar}. {3rd} {1987}",
    "{Mar}. {3rd}, {1987}",
    "{3rd} {March} {1987}",
    "{3rd} {Mar}. {1987}",
    "the {3rd} of {March}, {1987}",
    "the {3rd} of {March} {1987}",
    "the {third} of {March} {1987}",
    "the {third} of {Mar} {1987}",
    "the {third} day of {March}, {1987}",
    "{third} of {March}, {1987}",
    "{third} {March} {1987}",
    "{March} {third} {1987}",
    "{March} the {third}, {1987}",
    "{March} the {3rd} {1987}",
    "{Tuesday}, {3d} {March} {1987}",
    "{Tuesday}, {March} {3d}, {1987}",
    "{Tuesday} {third} {March} {1987}",
    "{Tue}, {03d} {Mar} {1987}",
    "{Tue} {Mar} {3d} {1987}",
    "{1987} {March} {3d}",
    "{1987}, {Mar} {3rd}",
    "in {1987}, on the {3rd} of {March}",
    "in {1987}, on {Tuesday} the {third} of {March}",
    "{03d}-{Mar}-{1987}",
    "{1987}-{Mar}-{03d}",
    "{1987}-{03}-{03d}",
    "{1987}/{03}/{03d}",
    "{03}/{03d}/{1987}",
    "{3}/{3d}/{1987}",
    "{03d}.{03}.{1987}",
    "{3d}.{3}.{1987}",
    "{3d}. {March} {1987}",
)
# Never trained on.
NEW_STYLES = (
    "{Tue}, {Mar}. {3rd}, {1987}",
    "{Tuesday} the {3rd} of {March}, {1987}",
    "{March} {third}, {1987}",
    "the {3rd} of {Mar}. {1987}",
    "{1987}, {March} the {third}",
    "{3d}-{March}-{1987}",
    "in {1987}, on {Mar} {3d}",
    "{Tue} {03}/{03d}/{1987}",
)

FRAMES = (
    "{date}",
    "{date}.",
    "on {date}",
    "({date})",
    "date: {date}",
    "dated {date}, {word}",
    "it was {date} when the {word} began",
    "{word} was born on {date} in {word}",
    "{word} {word} {date}",
    "{date} {word}",
    "{date}: {word} and {word}",
    "from {date} to this day",
    "we met in {word} on {date}, {word}!",
)
NEW_FRAMES = (
    "{date}!",
    "due by {date}",
    "the treaty was signed on {date}",
    "{date}, London",
    "Her letter of {date} never arrived.",
)

FIRST, LAST = date(1000, 1, 1).toordinal(), date(2999, 12, 31).toordinal()


@dataclass(frozen=True, slots=True)
class Example:
    """A text with one date.

    ``spans`` tells which code points of ``text`` decide the year, the month and the day.
    """

    text: str
    iso: str
    spans: dict[str, tuple[int, int]]

    def sources(self) -> tuple[tuple[int, int] | None, ...]:
        """For each character of ``iso`` the span of ``text`` that decides it, None for a hyphen."""
        start = self.spans["year"][0]
        year = [(start + i, start + i + 1) for i in range(4)]
        return (*year, None, *[self.spans["month"]] * 2, None, *[self.spans["day"]] * 2)


def suffix(number: int) -> str:
    return "th" if 11 <= number <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")


def is_held_out(day: date) -> bool:
    """One date in ten is never trained on."""
    return day.toordinal() % 10 == 3


def examples(
    seed: int, styles: Sequence[str] = STYLES, frames: Sequence[str] = FRAMES, held_out: bool = False
) -> Iterator[Example]:
    """Endless examples in ``styles``, half of them inside one of ``frames``, with held-out or other dates."""
    rng = random.Random(seed)
    while True:
        day = date.fromordinal(rng.randint(FIRST, LAST))
        if is_held_out(day) == held_out:
            style = rng.choice(styles)
            frame = rng.choice(frames) if rng.random() < 0.5 else "{date}"
            yield write(day, frame.replace("{date}", style), rng)


def write(day: date, style: str, rng: random.Random) -> Example:
    """``day`` in one style, sometimes in upper or lower case."""
    text, spans = "", {}
    for plain, field, _, _ in Formatter().parse(style):
        text += plain
        if field == "word":
            text += word(rng)
        elif field:
            part, show = FIELDS[field]
            shown = spell(show(day), rng)
            spans[part] = (len(text), len(text) + len(shown))
            text += shown
    case = rng.choice((str, str, str, str.lower, str.upper))
    return Example(case(text), day.isoformat(), {part: spans[part] for part in ("year", "month", "day")})


def spell(shown: str, rng: random.Random) -> str:
    """The other spellings people use: Sept, twenty first."""
    if shown == "Sep":
        return rng.choice(("Sep", "Sept"))
    return shown.replace("-", rng.choice("- "))


def word(rng: random.Random) -> str:
    """A made-up word."""
    made = "".join(rng.choices(ascii_lowercase + "éøñš", k=rng.randint(2, 9)))
    return rng.choice((str.lower, str.title))(made)
