"""How long the browser takes to draw a long text: the heatmap of 512 tokens in headless Chromium.

    python -m benchmarks.draw [--tokens 512] [--rounds 20]

``first`` is the first drawing in a fresh page (the script is compiled while it runs), ``again`` other scores
on the same text, ``text`` another text: the script and the layout that it forces, without the paint.
``frame`` is the longest time between two animation frames while the pointer moves over the words. Medians
and the largest."""

from __future__ import annotations

import argparse
import os
import shutil
from typing import Any

import numpy as np
from playwright.sync_api import Page, sync_playwright

from attribution.export.html import picture_script, picture_style
from attribution.models.tasks import classification
from attribution.types import Attribution, Completeness, ModelInfo, Output, Prediction, Request, Token
from benchmarks.keystroke import SWITCHES
from benchmarks.machine import describe, quantiles

STAND = f"""<!doctype html><meta charset="utf-8"><style>{picture_style()}</style><div id="picture"></div>
<script>{picture_script()}</script>"""
MOUNT = "() => { globalThis.picture = AttributionHeatmap.mount(document.getElementById('picture')); }"
DRAW = """(data) => {
  const start = performance.now();
  picture.draw(data);
  document.getElementById("picture").getBoundingClientRect();
  return performance.now() - start;
}"""
WATCH = """() => {
  globalThis.frames = [];
  let last = performance.now();
  const next = (now) => { frames.push(now - last); last = now; requestAnimationFrame(next); };
  requestAnimationFrame(next);
}"""


def text_of(tokens: int, seed: int) -> Attribution:
    """Words of two to nine letters with random scores, one token each."""
    draw = np.random.default_rng(seed)
    words = ["".join(draw.choice(list("aeionrst"), size=draw.integers(2, 10))) for _ in range(tokens)]
    text, spans, at = " ".join(words), [], 0
    for word in words:
        spans.append((at, at + len(word)))
        at += len(word) + 1
    return Attribution(
        request=Request(text, "benchmark", "integrated_gradients"),
        model=ModelInfo("benchmark", None, "", classification.TASK.name, ("negative", "positive")),
        text=text,
        tokens=tuple(
            Token(word, i, *span, word=i) for i, (word, span) in enumerate(zip(words, spans, strict=True))
        ),
        outputs=(Output("positive", 1, 1.0, 0.9),),
        scores=draw.normal(size=(1, tokens)),
        prediction=Prediction(("negative", "positive"), (-1.0, 1.0), (0.1, 0.9)),
        signed=True,
        unit="logit",
        completeness=(Completeness(1.0, 0.0, 0.0),),
        title="Integrated gradients",
    )


def again(result: Attribution, seed: int) -> dict[str, Any]:
    """The same text with other scores."""
    draw = np.random.default_rng(seed)
    return {**result.to_dict(), "scores": draw.normal(size=result.scores.shape).tolist()}


def fresh(page: Page) -> None:
    page.set_content(STAND)
    page.evaluate(MOUNT)


def hovering(page: Page) -> list[float]:
    """Milliseconds between frames while the pointer crosses the picture."""
    box = page.locator("#picture .text").bounding_box()
    assert box
    page.evaluate(WATCH)
    for step in range(60):
        page.mouse.move(
            box["x"] + box["width"] * (step % 20) / 20, box["y"] + min(box["height"], 800) * step / 60
        )
    return page.evaluate("frames.slice(1)")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=20)
    options = parser.parse_args()
    print(describe("playwright"))
    milliseconds: dict[str, list[float]] = {"first": [], "again": [], "text": [], "frame": []}
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=SWITCHES.split())
        for count in range(options.rounds):
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            fresh(page)
            result = text_of(options.tokens, count)
            milliseconds["first"].append(page.evaluate(DRAW, result.to_dict()))
            milliseconds["again"].append(page.evaluate(DRAW, again(result, count)))
            milliseconds["text"].append(page.evaluate(DRAW, text_of(options.tokens, 1000 + count).to_dict()))
            if count < 3:
                milliseconds["frame"].append(max(hovering(page)))
            page.close()
        browser.close()
    for name, times in milliseconds.items():
        print(
            f"{name:6} median {quantiles(times)[0]:6.1f} ms   largest {max(times):6.1f} ms   of {len(times)}"
        )


if __name__ == "__main__":
    main()
