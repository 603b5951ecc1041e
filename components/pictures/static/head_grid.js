/* Layers × heads on one canvas: thumbnails of what each head attends to, or one figure of each as its colour. */
globalThis.AttributionHeadGrid = (() => {
  "use strict";
  const { number, say } = AttributionHeatmap;
  const { cellBox, drawLegend, drawTable, frame, isDark, moved, onTheme, paint, under, unpack } = AttributionChart;

  const GAP = 1; // pixels of the canvas on each side of a head, clear

  function mount(element, { trigger }) {
    const ground = frame(element, "head-grid", { onTable: table });
    const controls = ground.bar.append("div").attr("class", "controls");
    const kinds = controls.append("div").attr("class", "segments").attr("role", "group").attr("aria-label", say("Type of attention"));
    const label = controls.append("label");
    label.append("span").text(say("Show"));
    const choice = label.append("select").on("change", () => {
      figure = Number(choice.property("value"));
      render();
    });
    const sheet = ground.body.append("div").attr("class", "scroll").attr("dir", "ltr").append("div").attr("class", "sheet");
    const layers = sheet.append("div").attr("class", "sides").attr("aria-hidden", "true");
    const field = sheet.append("div").attr("class", "field").attr("role", "application").attr("tabindex", 0);
    const heads = sheet.append("div").attr("class", "heads").attr("aria-hidden", "true");
    const canvas = field.append("canvas").attr("aria-hidden", "true");
    const [chosen, cursor] = ["chosen", "cursor"].map((name) => field.append("div").attr("class", name));
    const meaning = ground.body.append("p").attr("class", "meaning");
    let data = null;
    let figure = -1; // which figure colours the heads; -1 is the pattern
    let active = [0, 0];

    const size = () => [data.layers, data.heads];
    const named = ([layer, head]) => say("Layer {layer}, head {head}", { layer, head });

    function draw(value) {
      data = ground.opens(value?.layers || value?.error ? value : null) ? { ...value, pixels: unpack(value.thumbs, 8) } : null;
      if (!data) return;
      active = data.chosen;
      if (figure >= data.figures.length) figure = -1;
      kinds.classed("absent", data.kinds.length < 2).selectAll("button").data(data.kinds).join("button").attr("type", "button")
        .attr("aria-pressed", ({ kind }) => kind === data.kind).text(({ title }) => say(title)).on("click", (_, { kind }) => trigger("turn", { kind }));
      choice.selectAll("option").data([say("Pattern"), ...data.figures.map(({ title }) => say(title))]).join("option")
        .attr("value", (_, i) => i - 1).text((text) => text);
      choice.property("value", figure);
      sheet.style("--layers", data.layers).style("--heads", data.heads);
      layers.selectAll("span").data([...Array(data.layers).keys()]).join("span").text(String);
      heads.selectAll("span").data([...Array(data.heads).keys()]).join("span").text(String);
      field.attr("aria-label", say("{layers} layers × {heads} heads; arrow keys move, Enter chooses", { layers: data.layers, heads: data.heads }));
      render();
    }

    function render() {
      const one = data.figures[figure];
      drawLegend(ground.legend, one ? { scale: one.scale, unit: say(one.unit) } : { scale: 1, unit: say("of each head's largest weight") });
      meaning.text(one ? say(one.meaning) : say("Each square is a head: rows are the tokens that attend, columns the tokens they attend to."));
      put(chosen, data.chosen);
      put(cursor, active);
      drawCanvas();
      table();
    }

    function drawCanvas() {
      if (!data) return;
      const [rows, columns] = data.side;
      const one = data.figures[figure];
      const [high, wide] = [rows + 2 * GAP, columns + 2 * GAP];
      const at = (y, x) => {
        const [layer, row, head, column] = [Math.floor(y / high), (y % high) - GAP, Math.floor(x / wide), (x % wide) - GAP];
        if (row < 0 || row >= rows || column < 0 || column >= columns) return null;
        if (one) return one.values[layer][head];
        return data.pixels[((layer * data.heads + head) * rows + row) * columns + column] / 255;
      };
      paint(canvas.node(), data.layers * high, data.heads * wide, at, { signed: false, scale: one ? one.scale : 1, dark: isDark(ground.root) });
    }

    function put(node, [layer, head]) {
      node.style("left", `${(100 * head) / data.heads}%`).style("top", `${(100 * layer) / data.layers}%`);
    }

    const textOf = ({ values }, [layer, head]) => (values[layer][head] === null ? say("undefined") : number(values[layer][head]));

    function show(at, aloud = false) {
      put(cursor, at);
      ground.root.classed("pointed", true);
      ground.tip.show(() => cellBox(field.node(), at, ...size()), [
        ["token", named(at)], ...data.figures.map((one) => ["name", say(one.title), textOf(one, at)]),
      ]);
      const one = data.figures[figure];
      if (aloud) ground.announce([named(at), one ? `${say(one.title)} ${textOf(one, at)}` : ""].filter(Boolean).join(", "));
    }

    function hide() {
      ground.tip.hide();
      ground.root.classed("pointed", false);
      if (data) put(cursor, active);
    }

    function choose(at) {
      data.chosen = active = at;
      put(chosen, at);
      trigger("select", { layer: at[0], head: at[1] });
    }

    field.on("pointermove", (event) => data && show(under(event, field.node(), ...size())));
    field.on("pointerleave", hide);
    field.on("blur", hide);
    field.on("focus", () => data && field.node().matches(":focus-visible") && show(active, true));
    field.on("click", (event) => data && choose(under(event, field.node(), ...size())));
    field.on("keydown", (event) => {
      if (!data) return;
      if (event.key === "Escape") return hide();
      const chooses = event.key === "Enter" || event.key === " ";
      const to = chooses ? active : moved(event, active, ...size());
      if (!to) return;
      event.preventDefault();
      active = to;
      show(active, true);
      cursor.node().scrollIntoView({ block: "nearest", inline: "nearest" });
      if (chooses) choose(active);
    });
    onTheme(drawCanvas);

    function table() {
      if (!data || !ground.details.node().open) return;
      const all = Array.from({ length: data.layers * data.heads }, (_, i) => [Math.floor(i / data.heads), i % data.heads]);
      const rows = all.map((at) => [...at, ...data.figures.map((one) => textOf(one, at))]);
      drawTable(ground.details, [say("Layer"), say("Head"), ...data.figures.map(({ title }) => say(title))], rows);
    }

    return { draw };
  }

  return { mount };
})();
