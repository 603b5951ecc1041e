/* What the pictures of numbers share. Values only ever become text nodes. */
globalThis.AttributionChart = (() => {
  "use strict";
  const { colours, kindOf, number, place, say } = AttributionHeatmap;
  const { select } = attributionD3;

  const STEPS = 64;
  const FAINTEST = 1 / STEPS; // below it `colours` is transparent, and a 0 would look like nothing at all
  const SWATCHES = { signed: [-1, -0.5, 0, 0.5, 1], unsigned: [0, 0.25, 0.5, 0.75, 1] };
  const SIDE = 5;
  const memo = new Map();

  /** Heading, legend, body, message, tooltip, and a table for people who cannot see the picture. */
  function frame(element, name, { onTable = () => {} } = {}) {
    const root = select(element).append("div").attr("class", `attribution-picture chart ${name} empty`);
    const bar = root.append("div").attr("class", "bar");
    const title = bar.append("h3").attr("class", "title");
    const legend = bar.append("div").attr("class", "legend");
    const body = root.append("div").attr("class", "body");
    const message = root.append("p").attr("class", "message quiet").attr("role", "status");
    const spoken = root.append("span").attr("class", "unseen").attr("aria-live", "polite");
    const details = root.append("details").attr("class", "table").on("toggle", onTable);
    details.append("summary").text(say("Numbers as a table"));
    const tip = tooltip(root);

    /** Whether `value` can be drawn; otherwise its error or note is shown instead. */
    function opens(value) {
      const drawable = Boolean(value) && !value.error;
      root.classed("empty", !drawable);
      details.classed("absent", !drawable);
      title.text(say(value?.title ?? ""));
      message.text(value?.error ? `${value.error.message} ${value.error.hint}` : say(value?.note ?? "")).classed("quiet", !value?.error);
      if (!drawable) tip.hide();
      return drawable;
    }

    return { root, bar, title, legend, body, details, tip, opens, announce: (text) => spoken.text(text) };
  }

  /** A tooltip beside the rectangle that `where()` returns, which it follows while the page scrolls. */
  function tooltip(root) {
    const tip = root.append("div").attr("class", "tip").attr("role", "tooltip").attr("popover", "manual");
    let anchor = null;
    const move = () => anchor && place(tip.node(), anchor);
    addEventListener("scroll", move, { capture: true, passive: true });
    addEventListener("resize", move);

    /** Lines are [class of heatmap.css, text], or ["name", label, text]. Empty ones are left out. */
    function show(where, lines, sign = "none") {
      anchor = { getClientRects: () => [where()] };
      tip.attr("data-sign", sign);
      tip.selectAll(".row").data(lines.filter(([, text]) => text)).join("div").attr("class", ([kind]) => `row ${kind}`).attr("dir", "auto")
        .selectAll("bdi").data(([, ...texts]) => texts).join("bdi").text((text) => text);
      if (!tip.classed("open")) tip.classed("open", true).node().showPopover?.();
      move();
    }

    function hide() {
      anchor = null;
      if (tip.classed("open")) tip.classed("open", false).node().hidePopover?.();
    }

    return { show, hide };
  }

  /** The colour scale from low to high. `more` are further parts: pairs of a class and a text. */
  function drawLegend(legend, { signed = false, scale, unit = "", low = 0 }, more = []) {
    const ends = { low: number(signed ? -scale : low, signed), high: number(scale, signed), unit, ...Object.fromEntries(more) };
    const parts = legend.selectAll(".part").data(["low", "scale", "high", ...(unit ? ["unit"] : []), ...more.map(([kind]) => kind)]).join("span")
      .attr("class", (part) => `part ${part}`);
    parts.filter(":not(.scale)").selectAll("span").data((part) => [[part, ends[part]]]).join("span")
      .attr("class", ([part]) => (part === "low" || part === "high" ? "number" : "name")).text(([, text]) => text);
    parts.filter(".scale").attr("aria-hidden", "true").selectAll("span").data(SWATCHES[signed ? "signed" : "unsigned"]).join("span")
      .attr("class", "shade").each(function (size) {
        fill(this, size, { signed, scale: 1 });
      });
  }

  const sizeOf = (value, scale) => (scale > 0 ? Math.min(Math.max(Math.abs(value) / scale, FAINTEST), 1) : FAINTEST);

  /** A value as the background of an element; the style sheet strikes negative values and hatches undefined ones. */
  function fill(node, value, { signed, scale }) {
    const sign = value === null ? "undefined" : signed && value < 0 ? "against" : "for";
    if (node.dataset.sign !== sign) node.dataset.sign = sign;
    const colour = value === null ? { fill: "transparent", ink: "inherit" } : colours(kindOf(value, signed), sizeOf(value, scale));
    node.style.setProperty("--fill", colour.fill);
    node.style.setProperty("--text", colour.ink);
  }

  /** The fill and text colours of one kind for a canvas, from 0 to the largest value: [red, green, blue] each. */
  function shades(kind, dark) {
    const key = `${kind} ${dark}`;
    if (!memo.has(key)) {
      const bytes = (pair) => {
        const hex = pair.match(/#\w{6}/g)[dark ? 1 : 0];
        return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
      };
      const all = Array.from({ length: STEPS + 1 }, (_, step) => colours(kind, Math.max(step, 1) / STEPS));
      memo.set(key, all.map((colour) => ({ fill: bytes(colour.fill), ink: bytes(colour.ink) })));
    }
    return memo.get(key);
  }

  /** Values on a canvas, a few pixels each, which the style sheet enlarges; undefined ones are transparent. */
  function paint(canvas, rows, columns, at, { signed, scale, dark }) {
    const side = signed ? SIDE : 1;
    const [width, height] = [columns * side, rows * side];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    const image = context.createImageData(width, height);
    for (let row = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++) {
        const value = at(row, column);
        if (value === null) continue;
        const shade = shades(kindOf(value, signed), dark)[Math.round(sizeOf(value, scale) * STEPS)];
        for (let y = 0; y < side; y++) {
          for (let x = 0; x < side; x++) {
            // A bar strikes negative values.
            const bar = signed && value < 0 && y === SIDE >> 1 && x > 0 && x < SIDE - 1;
            const [r, g, b] = bar ? shade.ink : shade.fill;
            image.data.set([r, g, b, 255], 4 * ((row * side + y) * width + column * side + x));
          }
        }
      }
    }
    context.putImageData(image, 0, 0);
  }

  const isDark = (root) => getComputedStyle(root.node()).colorScheme === "dark";

  /** A canvas has no style sheet: paint it again when the page changes between light and dark. */
  function onTheme(redraw) {
    new MutationObserver(redraw).observe(document.body, { attributes: true, attributeFilter: ["class"] });
  }

  const bytesOf = (text) => Uint8Array.from(atob(text), (character) => character.charCodeAt(0));

  /** The inverse of `packed` in components/pictures/chart.py: integers of 16 or 8 bits, the largest of which means 1. */
  const unpack = (text, bits = 16) => (bits === 16 ? new Uint16Array(bytesOf(text).buffer) : bytesOf(text));

  function drawTable(details, head, rows) {
    const grid = details.selectAll("table").data([0]).join((enter) => {
      const node = enter.append("table");
      node.append("thead").append("tr");
      node.append("tbody");
      return node;
    });
    grid.select("tr").selectAll("th").data(head).join("th").attr("scope", "col").attr("dir", "auto").text((text) => text);
    grid.select("tbody").selectAll("tr").data(rows).join("tr").selectAll("td").data((row) => row).join("td")
      .attr("dir", "auto").text((text) => text);
  }

  /** The cell of a grid that an arrow key leads to, [row, column]; null for another key. */
  function moved(event, [row, column], rows, columns) {
    if (event.altKey || event.ctrlKey || event.metaKey) return null;
    const to = {
      ArrowUp: [row - 1, column], ArrowDown: [row + 1, column], ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1],
      Home: [row, 0], End: [row, columns - 1], PageUp: [0, column], PageDown: [rows - 1, column],
    }[event.key];
    return to ? [Math.min(Math.max(to[0], 0), rows - 1), Math.min(Math.max(to[1], 0), columns - 1)] : null;
  }

  /** The row and column under the pointer, in a box of equal cells. */
  function under(event, node, rows, columns) {
    const box = node.getBoundingClientRect();
    const within = (at, size, count) => Math.min(Math.max(Math.floor((at / size) * count), 0), count - 1);
    return [within(event.clientY - box.top, box.height, rows), within(event.clientX - box.left, box.width, columns)];
  }

  /** The rectangle of one of a box's equal cells. */
  function cellBox(node, [row, column], rows, columns) {
    const box = node.getBoundingClientRect();
    const [width, height] = [box.width / columns, box.height / rows];
    return new DOMRect(box.left + column * width, box.top + row * height, width, height);
  }

  return { cellBox, drawLegend, drawTable, fill, frame, isDark, moved, onTheme, paint, under, unpack };
})();
