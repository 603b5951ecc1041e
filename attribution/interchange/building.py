"""From what is known of an attribution that was computed elsewhere to the fields of an ``Attribution``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from attribution import text as texts
from attribution.errors import BadOption, EmptyInput, InputError, NotFinite, nearest, quote
from attribution.interchange import Parts, array, read
from attribution.interchange.locating import compose, is_special, locate, surfaces
from attribution.models.tasks import list_tasks
from attribution.parts import Completeness, ModelInfo, Output, Prediction, Segment, Token
from attribution.request import Request
from attribution.settings import DEFAULTS

DETAILS = {
    "value": "values",
    "baseline": "baselines",
    "probabilities": "prediction",
    **{
        name: name
        for name in ("errors", "signed", "unit", "notes", "quantity", "second", "text", "method", "model")
    },
}
"""The keywords of ``Attribution.of`` and the fields of ``Parts`` that they set."""


def build(tokens: Any, scores: Any, target: Any, details: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of an attribution, from the arguments of ``Attribution.of``."""
    for name in details:
        if name not in DETAILS:
            raise BadOption(
                f"Attribution.of has no argument {quote(name)}.", nearest(name, ("target", *DETAILS))
            )
    if scores is None:
        parts = read(tokens)
    elif isinstance(tokens, str):
        raise InputError("tokens is one text.", "Give a list of tokens, such as text.split().")
    else:
        parts = Parts(list(tokens), array(scores))
    parts = replace(
        parts, **{DETAILS[name]: value for name, value in details.items() if value not in (None, "")}
    )
    return _make_fields(_name_targets(_check(parts), target))


def _check(parts: Parts) -> Parts:
    """The parts with scores [outputs, inputs]. Raises an ``InputError`` for what does not fit together."""
    scores, count = parts.scores, len(parts.tokens)
    if not count:
        raise EmptyInput("There are no tokens.", "Give at least one.")
    for token in parts.tokens:
        if not isinstance(token, str | Token):
            raise InputError(f"A token is {quote(token)}.", "Tokens must be strings, or of the type Token.")
    if scores.ndim == 1:
        scores = scores[None]
    if scores.ndim != 2 or scores.shape[1] != count or not len(scores):
        hint = f"They must be [inputs={count}] or [outputs, inputs={count}]."
        if scores.ndim == 2 and scores.shape[0] == count:
            hint += (
                " Sum gradients over the hidden axis; turn one column for each output into a row (scores.T)."
            )
        raise InputError(f"The scores have the shape {list(parts.scores.shape)}, for {count} tokens.", hint)
    if not np.isfinite(scores).all():
        raise NotFinite("The scores contain NaN or infinity.", "Leave those tokens out, or set them to 0.")
    errors = None if parts.errors is None else np.atleast_2d(array(parts.errors))
    if errors is not None and (errors.shape != scores.shape or not (errors >= 0).all()):
        raise InputError(
            f"The errors have the shape {list(errors.shape)}.", "Give one number ≥ 0 for each score."
        )
    return replace(
        parts,
        scores=scores,
        errors=errors,
        values=_one_each(parts.values, len(scores), "values"),
        baselines=_one_each(parts.baselines, len(scores), "baselines"),
    )


def _one_each(values: Any, count: int, name: str) -> Sequence[Any]:
    numbers = [values] if isinstance(values, int | float) else list(values)
    if numbers and len(numbers) != count:
        raise InputError(
            f"There are {len(numbers)} {name} for {count} rows of scores.", "Give one for each row."
        )
    return [None if number is None else float(number) for number in numbers]


def _name_targets(parts: Parts, target: Any) -> Parts:
    """The parts with a name for each output; one of several names selects its row."""
    count, names = len(parts.scores), list(map(str, parts.targets))
    if target is None:
        if names:
            return replace(parts, targets=names)
        names = [f"output {row}" for row in range(count)] if count > 1 else [_best(parts) or "output"]
        return replace(parts, targets=names, unnamed=True)
    wanted = [target] if isinstance(target, str) else list(map(str, target))
    if len(wanted) == count:
        return replace(parts, targets=wanted)
    if len(wanted) == 1 and wanted[0] in names:
        row = names.index(wanted[0])

        def pick(values: Any) -> Any:
            return values[row : row + 1] if values is not None and len(values) else values

        rows = ("scores", "targets", "values", "baselines", "chances", "errors")
        return replace(parts, **{name: pick(getattr(parts, name)) for name in rows})
    hint = f"Name one of {', '.join(names)}, or all." if names else "Give one name for each row of scores."
    raise BadOption(f"target names {len(wanted)} outputs; there are {count} rows of scores.", hint)


def _best(parts: Parts) -> str:
    return max(parts.prediction, key=lambda label: parts.prediction[label]) if parts.prediction else ""


def _make_fields(parts: Parts) -> dict[str, Any]:
    count, written = len(parts.scores), parts.written
    names = [token.text if isinstance(token, Token) else token for token in parts.tokens]
    generated = _generated_text(parts)
    text, tokens = _place(parts, names, generated)
    labels, model = _describe_model(parts)
    chances = list(parts.chances) or [parts.prediction.get(name) for name in parts.targets]
    values = list(parts.values) or [None] * count
    spans = _output_spans(parts.targets) if written is not None else [(0, 0)] * count
    outputs = tuple(
        Output(
            _clean(name),
            labels.get(name, k),
            values[k],
            chances[k],
            *spans[k],
            position=None if written is None else k,
        )
        for k, name in enumerate(parts.targets)
    )
    # Labels are named by their names or, as captum does, by their indices.
    wanted = tuple(int(name) if name.isdecimal() and name not in labels else name for name in parts.targets)
    target = None if parts.unnamed or written is not None else wanted[0] if count == 1 else wanted
    signed = bool((parts.scores < 0).any()) if parts.signed is None else parts.signed
    if not signed and (parts.scores < 0).any():
        raise InputError(
            "signed is false, but there are scores below 0.", "Leave signed out, or give absolute scores."
        )
    return {
        "request": Request(
            text,
            model.name,
            parts.method or "external",
            target,
            second=parts.second,
            quantity=parts.quantity or "logit",
        ),
        "model": model,
        "text": text,
        "tokens": tokens,
        "outputs": outputs,
        "scores": parts.scores,
        "prediction": _predict(parts, generated),
        "signed": signed,
        "unit": parts.unit,
        "completeness": _add_up(parts, values),
        "notes": tuple(parts.notes) if not isinstance(parts.notes, str) else (parts.notes,),
        "errors": parts.errors,
        "title": parts.title or ("" if parts.method else "Scores from elsewhere"),
    }


def _add_up(parts: Parts, values: Sequence[float | None]) -> tuple[Completeness, ...] | None:
    """How far the scores add up, where f(x) and f(x₀) of each output are known."""
    sums = parts.scores.sum(axis=1).tolist()
    rows = list(zip(values, parts.baselines, sums, strict=False))
    checks = tuple(Completeness(v, base, v - base - total) for v, base, total in rows if v is not None)
    return checks if len(checks) == len(values) else None


def _clean(name: str) -> str:
    """The name of an output as it is read: a token without its markers."""
    return surfaces([name])[0] or name if not is_special(name) else name


def _generated_text(parts: Parts) -> str | None:
    """The generated text; None where none is explained."""
    return None if parts.written is None else "".join(surfaces(parts.targets))


def _output_spans(targets: Sequence[str]) -> list[tuple[int, int]]:
    """The span of each generated token."""
    spans, end = [], 0
    for surface in surfaces(targets):
        start = end + len(surface) - len(surface.lstrip())
        end += len(surface)
        spans.append((min(start, end), end))
    return spans


def _place(parts: Parts, names: Sequence[str], generated: str | None) -> tuple[str, tuple[Token, ...]]:
    """The text, and its tokens with their spans."""
    limit = DEFAULTS.max_characters
    if any(isinstance(token, Token) for token in parts.tokens):
        if parts.text is None or not all(isinstance(token, Token) for token in parts.tokens):
            raise InputError("Tokens with spans need the text that they are spans of.", "Give text=...")
        return texts.clean(parts.text, limit), tuple(parts.tokens)
    cut = len(names) - (parts.written or 0)
    groups: list[tuple[Segment, Sequence[str], str]] = []
    own = names[:cut]
    text = texts.clean(compose(own) if parts.text is None else parts.text, limit)
    if parts.second is None:
        groups.append(("text", own, text))
    else:
        middle = _second_start(own, text)
        groups += [("text", own[:middle], text), ("second", own[middle:], parts.second)]
    groups.append(("generated", names[cut:], generated or ""))
    ids = list(parts.ids) or [-1] * len(names)
    tokens: list[Token] = []
    for segment, group, source in groups:
        tokens += _make_tokens(group, ids[len(tokens) :], source, segment)
    return text, tuple(tokens)


def _second_start(names: Sequence[str], text: str) -> int:
    """Where the tokens of the second text begin: behind the special tokens that follow the first text."""
    for middle in range(len(names), 0, -1):
        behind = middle == len(names) or not is_special(names[middle])
        if behind and is_special(names[middle - 1]) and not all(map(is_special, names[middle:] or ["x"])):
            try:
                locate(names[:middle], text)
            except InputError:
                continue
            return middle
    for middle in range(len(names), 0, -1):
        try:
            locate(names[:middle], text)
        except InputError:
            continue
        return middle
    return len(names)


def _make_tokens(names: Sequence[str], ids: Sequence[int], source: str, segment: Segment) -> list[Token]:
    tokens: list[Token] = []
    end = 0
    for name, number, span in zip(names, ids, locate(names, source), strict=False):
        if span is None:
            tokens.append(Token(name or "·", number, end, end, special=True, segment=segment))
            continue
        start, end = texts.snap_to_characters(source, *span) if span[0] < span[1] else span
        word = texts.word_of(source, start, end)
        tokens.append(Token(source[start:end] or name, number, start, end, word=word, segment=segment))
    return tokens


def _describe_model(parts: Parts) -> tuple[dict[str, int], ModelInfo]:
    """The indices of the model's labels by name, and the model."""
    if info := getattr(parts.model, "info", None):
        return {label: index for index, label in enumerate(info.labels)}, info
    labels = tuple(map(str, parts.prediction))
    task = ""
    if parts.written is not None:
        task = next(
            t.name for t in list_tasks().values() if t.writes and t.encoder_decoder == parts.encoder_decoder
        )
    return {label: index for index, label in enumerate(labels)}, ModelInfo(
        str(parts.model), None, "", task, labels
    )


def _predict(parts: Parts, generated: str | None) -> Prediction:
    if generated is not None:
        complete = len(parts.chances) == len(parts.targets) and None not in parts.chances
        pairs = zip(map(_clean, parts.targets), parts.chances, strict=True) if complete else ()
    else:
        pairs = zip(map(str, parts.prediction), parts.prediction.values(), strict=True)
    rows = [(label, float(chance)) for label, chance in pairs if chance is not None]
    labels, chances = tuple(label for label, _ in rows), tuple(chance for _, chance in rows)
    # The logarithms of probabilities are logits of them.
    return Prediction(labels, tuple(np.log(np.maximum(chances, 1e-300)).tolist()), chances, text=generated)
