"""ReAGent: replaces words by plausible ones and observes the probability of the next token."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
import torch
from torch import Tensor

from attribution.errors import Unsupported
from attribution.methods import Scores, method
from attribution.methods.common.games import find_visible_features
from attribution.models.adapter import Adapter
from attribution.models.features import UNIT_HELP, Features, Unit, check_count, features_of
from attribution.models.infilling import Filler, Span, replace_spans
from attribution.models.objective import Objective
from attribution.models.readers.generation import Generation
from attribution.registry import Between, Length


@method(
    title="ReAGent",
    summary="Replaces random words by others that a masked language model finds plausible, and measures "
    "how much less likely the next token becomes.",
    caveat="It needs a second model, and its scores depend on it. It is a random search that stops "
    "early: the standard errors say how far its runs differ. The scores of one token are shares that add "
    "up to 1, so it cannot say that nothing matters.",
    cost="two forward passes of both models for each step and run",
    signed=False,
    unit="share of the importance",
    needs="texts",
    requires=("writes",),
    companion="filler",
)
def reagent(
    f: Objective,
    *,
    filler: Annotated[
        str, Length(200), "The masked language model that fills in words: a name or a folder."
    ] = "",
    runs: Annotated[int, Between(1, 20), "Independent runs, which are averaged."] = 5,
    steps: Annotated[int, Between(1, 3000), "Maximum number of steps of a run."] = 30,
    replace: Annotated[float, Between(0.05, 0.95), "Share of the words that a step replaces."] = 0.3,
    keep: Annotated[
        float,
        Between(0.05, 0.95),
        "Share of the words, the most important ones, that must suffice to predict the token.",
    ] = 0.3,
    top: Annotated[int, Between(1, 20), "A run ends when the token is among this many most likely ones."] = 3,
    features: Annotated[Unit, UNIT_HELP] = "words",
    seed: Annotated[int, Between(0, 2**31 - 1), "Seed of the random choices."] = 0,
) -> Scores:
    """ReAGent: importances s of the context of each generated token by a random search; S = softmax(s).

    Zhao & Shan 2024, "ReAGent: A Model-agnostic Feature Attribution Method for Generative Language Models",
    the algorithm of its method section, as the authors' code runs it. s starts at random in [0, 1). A step
    replaces a random share of the words of the context, Δp = p(token | context) − p(token | context with
    replacements), and adds to s_i

        logit((Δp + 1) / 2) where word i was replaced, logit((1 − Δp) / 2) where it was not.

    After each step all but the most important words are replaced; the run ends when the token is then among
    the ``top`` most likely ones. The result is the mean S of the runs that ended like this, or of
    all where none did. Standard errors: their standard deviation / √runs.

    The replacements are the masked model's most likely words, all predicted at once from the context alone
    (never from the token or what follows it). The authors replace tokens one by one; here a word of the
    text is replaced by a word, and a generated token by the first token of one. An encoder-decoder's
    context is its text only: the tokens that it generated stay.
    """
    model = _filling_model(f, filler)
    groups = check_count(features_of(f, features), 200, "ReAGent")
    context = _Context(f, groups, Filler(model, f.deadline))
    random = np.random.default_rng(seed)
    search = [
        _Run(output, context.visible[output], random) for output in range(len(f.outputs)) for _ in range(runs)
    ]
    _search(context, search, random, steps=steps, replace=replace, keep=keep, top=top)
    shares, errors = _average_shares(search, len(f.outputs))
    count = sum(run.ended for run in search)
    inputs, visible = len(f.tokens), f.visible.cpu()
    return Scores(
        groups.spread(torch.from_numpy(shares), inputs, visible),
        notes=(
            f"{count} of {len(search)} runs ended: {keep:.0%} of the words sufficed for the token to be "
            f"among the {top} most likely.",
            f"Words were filled in by {model.info.name}.",
        ),
        errors=groups.spread(torch.from_numpy(errors), inputs, visible) if runs > 1 else None,
    )


def _search(
    context: _Context,
    search: list[_Run],
    random: np.random.Generator,
    *,
    steps: int,
    replace: float,
    keep: float,
    top: int,
) -> None:
    """Advance every run until it ends; the keywords are options of ``reagent``."""
    outputs = range(len(context.f.outputs))
    nothing: np.ndarray = np.zeros(len(context.groups), dtype=bool)
    _, chances = context.predict([(output, nothing) for output in outputs], top)
    for _ in range(steps):
        open_runs = [run for run in search if not run.ended]
        if not open_runs:
            break
        hidden = [run.choose(replace, random) for run in open_runs]
        pairs = [(run.output, row) for run, row in zip(open_runs, hidden, strict=True)]
        _, changed = context.predict(pairs, top)
        for run, row, chance in zip(open_runs, hidden, changed, strict=True):
            run.update(row, chances[run.output] - chance)
        enough, _ = context.predict([(run.output, run.rest(keep)) for run in open_runs], top)
        for run, ended in zip(open_runs, enough, strict=True):
            run.ended = ended


def _filling_model(f: Objective, name: str) -> Adapter:
    """The companion of ``f``. Raises ``Unsupported`` for one that fills no masks, or for another target."""
    model = f.companion
    if model is None or not model.task.fills_masks:
        other = "; this model is not one" if name and model is not None else ""
        raise Unsupported(
            "ReAGent needs a masked language model that fills in words.",
            f"Set the option filler to one, such as distilroberta-base{other}.",
        )
    if f.target.position == "sequence" or f.target.contrast is not None:
        raise Unsupported(
            "ReAGent explains single tokens without a contrast.",
            "Leave out the contrast and the position 'sequence'.",
        )
    return model


def _average_shares(search: list[_Run], outputs: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean shares of the runs that ended (of all where none did) and their standard errors.

    Both are [outputs, features].
    """
    shares, errors = [], []
    for output in range(outputs):
        runs = [run for run in search if run.output == output]
        every = np.array([run.shares() for run in runs])
        ended = every[[run.ended for run in runs]]
        shares.append((ended if len(ended) else every).mean(0))
        counted = ended if len(ended) > 1 else every
        errors.append(counted.std(0, ddof=min(1, len(counted) - 1)) / np.sqrt(len(counted)))
    return np.stack(shares), np.stack(errors)


@dataclass
class _Run:
    """One search for one output: ``logits`` s [features], −∞ for features that the output does not see."""

    output: int
    visible: np.ndarray
    random: np.random.Generator
    ended: bool = False
    logits: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.logits = np.where(self.visible, self.random.random(len(self.visible)), -np.inf)

    def choose(self, share: float, random: np.random.Generator) -> np.ndarray:
        """A random share of the visible features, at least one: bool [features]."""
        places = np.flatnonzero(self.visible)
        mask: np.ndarray = np.zeros(len(self.visible), dtype=bool)
        mask[random.choice(places, max(1, round(share * len(places))), replace=False)] = True
        return mask

    def update(self, hidden: np.ndarray, drop: float) -> None:
        # logit((d + 1) / 2) = log((1 + d) / (1 − d)) is odd in d; the clip keeps it finite for |d| = 1.
        step = np.arctanh(np.clip(drop, -1 + 1e-7, 1 - 1e-7)) * 2
        self.logits = self.logits + np.where(hidden, step, -step)

    def rest(self, keep: float) -> np.ndarray:
        """The visible features except the most important share (at least one): bool [features]."""
        count = max(1, int(np.ceil(keep * self.visible.sum())))
        rest = self.visible.copy()
        rest[np.argsort(-self.logits, kind="stable")[:count]] = False
        return rest

    def shares(self) -> np.ndarray:
        """S = softmax(s)."""
        powers: np.ndarray = np.exp(self.logits - self.logits.max())
        shares: np.ndarray = powers / powers.sum()
        return shares


class _Context:
    """The model's predictions of each output from its context, with some features replaced by other words."""

    def __init__(self, f: Objective, groups: Features, filler: Filler) -> None:
        assert isinstance(f.reader, Generation)
        self.generation = f.reader.generated
        self.f, self.groups, self.filler = f, groups, filler
        self.visible = find_visible_features(f, groups)
        self.generated = np.array([f.tokens[group[0]].segment == "generated" for group in groups.groups])
        if f.adapter.task.encoder_decoder:
            self.visible = self.visible & ~self.generated
        self.pieces = [i for i, token in enumerate(f.tokens) if token.segment == "generated"]
        self.tokens = [token.id for token in f.tokens]

    def predict(self, requests: list[tuple[int, np.ndarray]], top: int) -> tuple[list[bool], list[float]]:
        """Whether each output's token is among the ``top``, and its probability, with features replaced.

        ``requests`` are pairs of an output and the features to replace, bool [features].
        """
        texts = [self._text(output) for output, _ in requests]
        spans = [self._spans(row) for _, row in requests]
        words = self.filler.fill(
            [
                (text, [span for _, span in request_spans])
                for text, request_spans in zip(texts, spans, strict=True)
            ]
        )
        rows = [self._row(request_spans, new) for request_spans, new in zip(spans, words, strict=True)]
        enough, chances = [False] * len(rows), [0.0] * len(rows)
        lengths = [len(source) for source, _ in rows]
        for length in sorted(set(lengths)):
            indices = [k for k, count in enumerate(lengths) if count == length]
            size = max(1, self.f.adapter.settings.rows_per_batch_tokens // (length + len(self.pieces)))
            for first in range(0, len(indices), size):
                self.f.deadline.check()
                part = indices[first : first + size]
                logits = self._logits([rows[k] for k in part])
                for j, k in enumerate(part):
                    output = requests[k][0]
                    row = logits[self.f.choice.positions[output], j]
                    token = int(self.f.choice.ids[output])
                    chances[k] = float(row.softmax(-1)[token])
                    enough[k] = int((row > row[token]).sum()) < top
        return enough, chances

    def _text(self, output: int) -> str:
        """What the masked model may read: the text and, for a decoder, the tokens before the output."""
        if self.f.adapter.task.encoder_decoder:
            return self.f.text
        first = self.generation.tokens[self.f.choice.positions[output]].start
        return self.f.text + self.generation.text[:first]

    def _spans(self, row: np.ndarray) -> list[tuple[int, Span]]:
        """The features to replace with their spans in ``_text``, in order and without overlap."""
        spans: list[tuple[int, Span]] = []
        for i in np.flatnonzero(row):
            first, last = self.f.tokens[self.groups.groups[i][0]], self.f.tokens[self.groups.groups[i][-1]]
            at = len(self.f.text) if self.generated[i] else 0
            start = max(first.start + at, spans[-1][1][1] if spans else 0)
            # Tokens of one character share its span: only the first of them is replaced.
            if last.end + at > start:
                spans.append((int(i), (start, last.end + at)))
        return spans

    def _row(self, spans: list[tuple[int, Span]], words: list[str]) -> tuple[list[int], list[int]]:
        """The ids of the text with words replaced, and those of the generated tokens."""
        pairs = list(zip(spans, words, strict=True))
        inside = [(span, word) for (i, span), word in pairs if not self.generated[i]]
        adapter = self.f.adapter
        if inside:
            text = replace_spans(self.f.text, [span for span, _ in inside], [word for _, word in inside])
            source = adapter.encode(text, reserve=len(self.pieces)).ids[0].tolist()
        else:
            source = [token.id for token in self.f.tokens if token.segment == "text"]
        replacements = dict.fromkeys(self.pieces)
        for (i, span), word in pairs:
            if self.generated[i]:
                # Tokenize with a leading space where the replaced token has one.
                before = self.generation.text[: span[0] - len(self.f.text)]
                ids = adapter.pieces(f" {word}" if before[-1:].isspace() else word)
                replacements[self.groups.groups[i][0]] = ids[0] if ids else None
        return source, [self.tokens[i] if new is None else new for i, new in replacements.items()]

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def _logits(self, rows: list[tuple[list[int], list[int]]]) -> Tensor:
        """Logits [positions, rows, vocabulary]."""
        f, device = self.f, self.f.embeddings.device
        source, generated = (
            torch.tensor([row[k] for row in rows], dtype=torch.long, device=device) for k in (0, 1)
        )
        embed = f.adapter.decoder_embedding if f.adapter.task.encoder_decoder else f.adapter.embed
        return f.logits(torch.cat([f.adapter.embed(source), embed(generated)], dim=1)).float()
