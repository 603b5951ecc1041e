/* What the model predicts without the words that were struck out: each label's probability before and after. */
globalThis.AttributionWithout = (() => {
  const { percent, say } = AttributionHeatmap;
  const SHOWN = 5;

  function make(tag, name, text) {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  /** A label with two bars: a hollow one before, a filled one after. */
  function change({ label, before, after }) {
    const row = make("div", "without-row");
    const track = make("span", "without-track");
    track.setAttribute("aria-hidden", "true");
    for (const [name, value] of [["before", before], ["after", after]]) {
      const bar = make("span", `without-${name}`);
      bar.style.width = `${100 * value}%`;
      track.append(bar);
    }
    const name = make("bdi", "without-label", label);
    row.append(name, track, make("span", "without-share", `${percent(before)} → ${percent(after)}`));
    return row;
  }

  function answer(value) {
    const words = value.removed.map((word) => `“${word}”`).join(", ");
    const parts = [make("h3", "", say("Without {words}", { words }))];
    const left = make("p", "without-text", value.text);
    left.dir = "auto";
    parts.push(left);
    const changed = [...value.changes].sort((a, b) => Math.abs(b.after - b.before) - Math.abs(a.after - a.before)).slice(0, SHOWN);
    if (changed.length) parts.push(...changed.map(change));
    else {
      const line = make("p", "without-said");
      line.append(make("bdi", "", value.before), " → ", make("bdi", "", value.after));
      parts.push(line);
    }
    return parts;
  }

  function mount(element) {
    const root = make("section", "attribution-picture without");
    root.setAttribute("aria-live", "polite");
    element.replaceChildren(root);
    function draw(value) {
      const parts = value?.error
        ? [make("p", "without-error", `${value.error.message} ${value.error.hint}`)]
        : value?.removed?.length
          ? answer(value)
          : [make("p", "without-hint", say("Click words in the picture to see what the model says without them."))];
      root.replaceChildren(...parts);
    }
    return { draw };
  }

  return { mount };
})();
