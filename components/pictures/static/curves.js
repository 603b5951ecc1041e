/* Lines over steps, in one chart or several beside each other. */
globalThis.AttributionCurves = (() => {
  "use strict";
  const { number, say } = AttributionHeatmap;
  const { drawTable, frame, moved, under } = AttributionChart;
  const { select } = attributionD3;

  const TICKS = 7;
  const LINES = 8; // ways to draw one
  const PIXELS = 100; // the drawing's own units on either axis; strokes do not stretch with it

  const finite = (values) => values.flat().filter(Number.isFinite);

  /** A chart with its number of steps, its range, and `top(value)` and `left(x)` in per cent. */
  function scaled(chart) {
    const all = finite(chart.lines.flatMap((line) => [line.values, ...(line.dots ?? [])]));
    const [least, most] = chart.range ?? [Math.min(0, ...all), Math.max(...all, 0)];
    const steps = Math.max(...chart.lines.map((line) => line.values.length), 1);
    const [title, x, y] = [chart.title, chart.x, chart.y].map((text) => say(text ?? ""));
    const lines = chart.lines.map((line) => ({ ...line, name: say(line.name ?? "") || y }));
    return {
      ...chart, title, x, y, lines, steps, least, most, defined: all.length > 0,
      left: (x) => (PIXELS * (x + 0.5)) / steps,
      top: (value) => PIXELS * (1 - (value - least) / (most - least || 1)),
    };
  }

  const kindOf = (line, place) => (line.faint ? "faint" : place % LINES);
  /** What a step is called; else its number. */
  const called = (chart, x) => chart.at?.[x] ?? String(x);

  /** The line through the values; an undefined one leaves a gap. */
  function lineOf(chart, values) {
    const path = values.map((value, x) => {
      if (!Number.isFinite(value)) return "";
      return `${Number.isFinite(values[x - 1]) ? "L" : "M"}${chart.left(x)},${chart.top(value)}`;
    });
    return `${path.join("")}`;
  }

  /** A line of no length is a dot as thick as its stroke, which does not stretch. */
  const dotsOf = (chart, dots) =>
    dots.map((values, x) => finite(values).map((value) => `M${chart.left(x)},${chart.top(value)}h0`).join("")).join("");

  function mount(element) {
    const ground = frame(element, "curves", { onTable: table });
    const names = ground.body.append("div").attr("class", "shared");
    const plots = ground.body.append("div").attr("class", "plots").attr("dir", "ltr");
    let charts = [];
    let active = [0, 0];

    function draw(value) {
      const list = value?.charts ?? (value?.lines?.length ? [value] : []);
      charts = ground.opens(value?.error ? value : list.length ? value : null) ? list.map(scaled) : [];
      if (!value?.charts) ground.title.text("");
      active = [Math.min(active[0], Math.max(charts.length - 1, 0)), active[1]];
      // Lines that are called the same in every chart are named once.
      const same = charts.length > 1 && new Set(charts.map((chart) => JSON.stringify(chart.lines.map((line) => line.name)))).size === 1;
      drawNames(names, same ? charts[0].lines : []);
      for (const chart of charts) chart.named = same ? [] : chart.lines;
      plots.classed("several", charts.length > 1).selectAll(".plot").data(charts).join(enter).each(function (chart, i) {
        drawChart(select(this), chart, i);
      });
      table();
    }

    const drawNames = (node, lines) =>
      node.selectAll("span").data(lines.length > 1 ? lines : []).join("span").attr("data-line", kindOf).text((line) => line.name);

    function enter(parent) {
      const plot = parent.append("figure").attr("class", "plot");
      plot.append("figcaption");
      plot.append("div").attr("class", "names");
      const box = plot.append("div").attr("class", "box");
      box.append("div").attr("class", "ticks");
      const field = box.append("div").attr("class", "field").attr("role", "application");
      field.append("svg").attr("viewBox", `0 0 ${PIXELS} ${PIXELS}`).attr("preserveAspectRatio", "none").attr("aria-hidden", "true");
      field.append("div").attr("class", "rule");
      box.append("div").attr("class", "steps");
      plot.append("div").attr("class", "x");
      return plot.each(function () {
        listen(select(this));
      });
    }

    function drawChart(plot, chart, i) {
      plot.select("figcaption").text([chart.title, chart.y && `(${chart.y})`].filter(Boolean).join(" "));
      drawNames(plot.select(".names"), chart.named);
      const ticks = chart.defined ? [chart.most, (chart.least + chart.most) / 2, chart.least] : [];
      plot.select(".ticks").selectAll("span").data(ticks).join("span").style("top", (tick) => `${chart.top(tick)}%`).text((tick) => number(tick));
      const every = Math.ceil(chart.steps / TICKS);
      plot.select(".steps").selectAll("span").data([...Array(chart.steps).keys()].filter((x) => x % every === 0)).join("span")
        .style("left", (x) => `${chart.left(x)}%`).text((x) => called(chart, x));
      plot.select(".x").text(chart.defined ? chart.x : say("undefined"));
      const svg = plot.select("svg");
      svg.selectAll(".grid").data(ticks).join("path").attr("class", "grid").attr("d", (tick) => `M0,${chart.top(tick)}H${PIXELS}`);
      for (const [kind, path] of [["dots", (line) => dotsOf(chart, line.dots ?? [])], ["line", (line) => lineOf(chart, line.values)],
        ["ends", (line) => (chart.at ? "" : dotsOf(chart, line.values.map((value) => [value])))]]) {
        svg.selectAll(`.${kind}`).data(chart.lines).join("path").attr("class", kind).attr("data-line", kindOf).attr("d", path);
      }
      plot.select(".field").attr("tabindex", i === active[0] ? 0 : -1).attr("aria-label", say("{title}; arrow keys move", { title: chart.title ?? "" }));
    }

    const textOf = (line, x) => (Number.isFinite(line.values[x]) ? number(line.values[x]) : say("undefined"));

    function show(plot, chart, x, aloud = false) {
      const field = plot.select(".field").node();
      plot.classed("pointed", true).select(".rule").style("left", `${chart.left(x)}%`);
      const where = () => {
        const box = field.getBoundingClientRect();
        return new DOMRect(box.left + (box.width * chart.left(x)) / PIXELS, box.top, 0, box.height);
      };
      const named = chart.lines.map((line) => [line.name, textOf(line, x)]);
      ground.tip.show(where, [["share", `${chart.x}: ${called(chart, x)}`], ...named.map((pair) => ["name", ...pair])]);
      if (aloud) ground.announce(`${chart.x} ${called(chart, x)}: ${named.map((pair) => pair.join(" ")).join(", ")}`);
    }

    function listen(plot) {
      const field = plot.select(".field");
      const hide = () => {
        plot.classed("pointed", false);
        ground.tip.hide();
      };
      const chart = () => plot.datum();
      field.on("pointermove", (event) => show(plot, chart(), under(event, field.node(), 1, chart().steps)[1]));
      field.on("pointerleave", hide);
      field.on("blur", hide);
      field.on("focus", () => {
        const i = charts.indexOf(chart());
        active = [i, Math.min(active[1], chart().steps - 1)];
        plots.selectAll(".field").attr("tabindex", (one) => (one === chart() ? 0 : -1));
        if (field.node().matches(":focus-visible")) show(plot, chart(), active[1], true);
      });
      field.on("keydown", (event) => {
        if (event.key === "Escape") return hide();
        const to = moved(event, active, charts.length, chart().steps);
        if (!to) return;
        event.preventDefault();
        const same = to[0] === active[0];
        active = to;
        if (same) show(plot, chart(), active[1], true);
        else plots.selectAll(".field").nodes()[active[0]].focus();
      });
    }

    function table() {
      if (!charts.length || !ground.details.node().open) return;
      const named = (chart, line) => [charts.length > 1 && chart.title, (charts.length === 1 || chart.lines.length > 1) && line.name].filter(Boolean);
      const lines = charts.flatMap((chart) => chart.lines.map((line) => ({ line, name: named(chart, line).join(" · ") })));
      const steps = Math.max(...charts.map((chart) => chart.steps));
      const rows = Array.from({ length: steps }, (_, x) => [called(charts[0], x), ...lines.map(({ line }) => textOf(line, x))]);
      drawTable(ground.details, [charts[0].x, ...lines.map(({ name }) => name)], rows);
    }

    return { draw };
  }

  return { mount };
})();
