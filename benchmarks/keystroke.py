"""From a key to the painted picture, in headless Chromium on a real server with the bundled model.

    python -m benchmarks.keystroke

Types a sentence of twelve words, one key each ``PAUSE`` milliseconds, and takes for each key the time from
the text box's ``input`` event to the second animation frame after the picture shows the box's text: once for
the first picture, which may be a preview, and once for the finished one. Keys whose text was overtaken by
the next key before are counted apart: the picture then showed a newer text. Spaces are not counted, since
they change no picture."""

from __future__ import annotations

import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import shutil

from playwright.sync_api import sync_playwright

from benchmarks.machine import SENTENCE, describe, quantiles
from components.application import build, serve

METHODS = ("saliency", "integrated_gradients")
PAUSE = 250
SWITCHES = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-background-networking --disable-component-update --disable-sync"
)

WATCH = """() => {
  const box = document.querySelector("#text textarea");
  const picture = document.querySelector("#picture");
  const plain = (text) => text.replace(/\\s/g, "");
  const cells = () => [...picture.querySelectorAll(".text .cell")];
  const shown = () => plain(cells().map((cell) => cell.textContent).join(""));
  globalThis.times = { first: [], final: [] };
  globalThis.keys = 0;
  let [waiting, last] = [[], plain(box.value)];
  box.addEventListener("input", () => {
    const text = plain(box.value);
    if (text === last) return;
    last = text;
    keys += 1;
    waiting.push({ text, start: performance.now(), seen: false });
  });
  const painted = (kind, key) =>
    requestAnimationFrame(() => requestAnimationFrame(() => times[kind].push(performance.now() - key.start)));
  new MutationObserver(() => {
    const now = shown();
    const place = waiting.findIndex((key) => key.text === now);
    if (place < 0) return;
    const key = waiting[place];
    const done = !picture.querySelector("[data-provisional]");
    if (!key.seen) painted("first", key);
    if (done) painted("final", key);
    key.seen = true;
    waiting = waiting.slice(done ? place + 1 : place);
  }).observe(picture, { subtree: true, childList: true, characterData: true, attributes: true });
}"""


def main() -> None:
    print(describe("playwright"))
    demo, _ = build()
    _, url, _ = serve(demo, _, host="127.0.0.1", block=False, quiet=True)
    with sync_playwright() as playwright:
        path = os.environ.get("CHROMIUM") or shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=SWITCHES.split())
        for method in METHODS:
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{url}?method={method}")
            page.wait_for_selector("#words .panel-label")
            page.evaluate(WATCH)
            page.locator("#text textarea").fill("")
            page.wait_for_timeout(500)
            page.evaluate("() => { times.first.length = times.final.length = keys = 0; }")
            page.locator("#text textarea").press_sequentially(SENTENCE, delay=PAUSE)
            page.wait_for_function("() => !document.querySelector('#picture [data-provisional]')")
            page.wait_for_timeout(3000)
            keys = page.evaluate("keys")
            for kind, times in page.evaluate("times").items():
                middle, slow = quantiles(times)
                print(
                    f"{method:22} {kind:5}  p50 {middle:6.0f} ms   p95 {slow:6.0f} ms   "
                    f"painted {len(times)} of {keys} keys"
                )
            page.close()
        browser.close()
    demo.close()


if __name__ == "__main__":
    main()
