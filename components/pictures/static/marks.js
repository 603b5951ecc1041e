/* Words that a person marks: click and drag, or arrow keys and space. Values only ever become text nodes. */
globalThis.AttributionMarks = (() => {
  "use strict";
  const { say } = AttributionHeatmap;
  const { frame } = AttributionChart;
  const { select } = attributionD3;

  let mounted = 0;

  const keyOf = ([start, end]) => `${start}-${end}`;

  function mount(element, { trigger }) {
    const ground = frame(element, "marks");
    ground.details.remove();
    ground.legend.remove();
    const hint = ground.bar.append("p").attr("class", "hint-line")
      .text(say("Mark the words that should matter: click and drag, or use the arrow keys and the space bar."));
    hint.attr("id", `marks-hint-${++mounted}`);
    const clear = ground.bar.append("button").attr("type", "button").attr("class", "clear").text(say("Clear marks")).on("click", () => {
      marked.clear();
      change();
    });
    const line = ground.body.append("div").attr("class", "line").attr("role", "listbox").attr("aria-multiselectable", "true")
      .attr("aria-label", say("Words to mark")).attr("aria-describedby", hint.attr("id"));
    let data = null;
    let active = 0;
    let painting = null; // whether the pointer marks or clears, while it is down
    const marked = new Set();

    const cells = () => line.selectAll(".cell");
    const spanOf = (piece) => [piece.start, piece.end];
    const isMarked = (piece) => marked.has(keyOf(spanOf(piece)));

    function draw(value) {
      const next = ground.opens(value?.pieces || value?.error ? value : null) ? value : null;
      if (next && next.text !== data?.text) {
        marked.clear();
        const words = new Set(next.pieces.filter((piece) => piece.end > 0).map((piece) => keyOf(spanOf(piece))));
        (next.marked ?? []).map(keyOf).filter((key) => words.has(key)).forEach((key) => marked.add(key));
        active = 0;
      }
      data = next;
      line.selectAll("span").data(data?.pieces ?? []).join("span").text((piece) => piece.text).attr("class", (piece) => (piece.end ? "cell start end" : null))
        .attr("role", (piece) => (piece.end ? "option" : "presentation"));
      render();
    }

    function render() {
      cells().attr("aria-selected", isMarked).attr("tabindex", (_, i) => (i === active ? 0 : -1));
      clear.classed("absent", !marked.size);
    }

    /** Tell what is marked, in reading order. */
    function change() {
      render();
      trigger("mark", { text: data?.text, spans: (data?.pieces ?? []).filter((piece) => piece.end && isMarked(piece)).map(spanOf) });
    }

    const put = (piece, on) => marked[on ? "add" : "delete"](keyOf(spanOf(piece)));

    function pieceAt(event) {
      const node = document.elementFromPoint(event.clientX, event.clientY)?.closest(".cell");
      return node && line.node().contains(node) ? node : null;
    }

    line.on("pointerdown", (event) => {
      const node = event.button === 0 ? pieceAt(event) : null;
      if (!node) return;
      event.preventDefault();
      painting = !isMarked(select(node).datum());
      line.node().setPointerCapture(event.pointerId);
      paint(node);
    });
    line.on("pointermove", (event) => {
      const node = painting === null ? null : pieceAt(event);
      if (node) paint(node);
    });
    line.on("pointerup pointercancel", () => {
      if (painting === null) return;
      painting = null;
      change();
    });

    function paint(node) {
      put(select(node).datum(), painting);
      active = cells().nodes().indexOf(node);
      render();
      node.focus({ preventScroll: true });
    }

    line.on("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey || !cells().size()) return;
      const nodes = cells().nodes();
      const forward = getComputedStyle(line.node()).direction === "rtl" ? "ArrowLeft" : "ArrowRight";
      const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1, Home: -nodes.length, End: nodes.length };
      if (event.key === " " || event.key === "Enter") {
        const piece = select(nodes[active]).datum();
        put(piece, !isMarked(piece));
        change();
      } else if (event.key in steps) {
        const turned = forward === "ArrowLeft" && event.key.startsWith("Arrow") && !/Up|Down/.test(event.key) ? -1 : 1;
        const from = active;
        active = Math.min(Math.max(active + turned * steps[event.key], 0), nodes.length - 1);
        if (event.shiftKey) {
          // With Shift the words on the way get what the first one has.
          const on = isMarked(select(nodes[from]).datum());
          put(select(nodes[active]).datum(), on);
          change();
        }
        render();
        nodes[active].focus();
      } else return;
      event.preventDefault();
    });
    line.on("focusin", (event) => {
      const at = cells().nodes().indexOf(event.target);
      if (at >= 0) active = at;
      render();
    });

    return { draw };
  }

  return { mount };
})();
