/* Numbers by row and column: as elements where there are few, as a canvas where there are many. */
globalThis.AttributionMatrix = (() => {
  "use strict";
  const { change, number, readable, say } = AttributionHeatmap;
  const { cellBox, drawLegend, drawTable, fill, frame, isDark, moved, onTheme, paint, under, unpack } = AttributionChart;

  const ELEMENTS = 400; // cells that are elements; more are a canvas
  const WHOLE_TABLE = 40;
  const STRONGEST = 50;
  const SHORT = { numbers: 7, plain: 2 }; // characters of a column's label that need no turning

  /** `value` with `at(row, column)`, which gives a number, or null for an undefined one. */
  function prepared(raw) {
    const value = { ...raw, unit: say(raw.unit ?? "") };
    const columns = value.columns.length;
    if (!value.weights) return { ...value, at: (row, column) => value.values[row][column] ?? null };
    const weights = unpack(value.weights);
    return { ...value, at: (row, column) => (value.causal && column > row ? null : weights[row * columns + column] / 65535) };
  }

  function mount(element, { trigger }) {
    const ground = frame(element, "matrix", { onTable: table });
    const sheet = ground.body.append("div").attr("class", "scroll").attr("dir", "ltr").append("div").attr("class", "sheet");
    const [, heads, sides] = ["corner", "heads", "sides"].map((name) => sheet.append("div").attr("class", name).attr("aria-hidden", "true"));
    const field = sheet.append("div").attr("class", "field").attr("role", "application").attr("tabindex", 0);
    const canvas = field.append("canvas").attr("aria-hidden", "true");
    const cells = field.append("div").attr("class", "cells").attr("aria-hidden", "true");
    const cursor = field.append("div").attr("class", "cursor");
    let data = null;
    let active = [0, 0];

    const size = () => [data.rows.length, data.columns.length];
    const many = () => data.rows.length * data.columns.length > ELEMENTS && !data.numbers;
    const textOf = (value) => (value === null ? say(data.causal ? "comes later, so it is not seen" : "undefined") : `${number(value, data.signed)} ${data.unit}`.trim());
    const axes = () => (data.axes ?? ["row", "column"]).map((axis) => say(axis));

    function draw(value) {
      data = ground.opens(value?.rows?.length || value?.error ? value : null) ? prepared(value) : null;
      if (!data) return;
      const [rows, columns] = size();
      active = [Math.min(active[0], rows - 1), Math.min(active[1], columns - 1)];
      const holes = !data.causal && data.rows.some((_, row) => data.columns.some((__, column) => data.at(row, column) === null));
      drawLegend(ground.legend, data, [
        ...(data.axes ? [["axes", say("rows: {rows}, columns: {columns}", { rows: axes()[0], columns: axes()[1] })]] : []),
        ...(data.causal ? [["later", say("empty: comes later, so it is not seen")]] : []),
        ...(holes ? [["undefined", say("undefined")]] : []),
      ]);
      sheet.style("--rows", rows).style("--columns", columns);
      const longest = Math.max(...data.columns.map((label) => [...label].length));
      ground.root.classed("written", Boolean(data.numbers)).classed("turned", longest > SHORT[data.numbers ? "numbers" : "plain"])
        .classed("causal", Boolean(data.causal));
      for (const [strip, labels] of [[heads, data.columns], [sides, data.rows]]) {
        strip.selectAll("bdi").data(labels).join("bdi").attr("title", (label) => label).text(readable);
      }
      field.attr("aria-label", [data.title, say("{rows} × {columns}; arrow keys move, Enter chooses", { rows, columns })].filter(Boolean).join(", "));
      drawCells();
      field.selectAll(".mark").data(data.marks ?? []).join("div").attr("class", "mark").each(function (at) {
        put(this, at);
      });
      put(cursor.node(), active);
      table();
    }

    function drawCells() {
      if (!data) return;
      const [rows, columns] = size();
      canvas.classed("absent", !many());
      const places = many() ? [] : data.rows.flatMap((_, row) => data.columns.map((__, column) => data.at(row, column)));
      cells.selectAll("span").data(places).join("span").each(function (value) {
        fill(this, value, data);
        const text = !data.numbers ? "" : value === null ? "–" : number(Number(value.toPrecision(2)), data.signed);
        if (this.textContent !== text) this.textContent = text;
      });
      if (many()) paint(canvas.node(), rows, columns, data.at, { ...data, dark: isDark(ground.root) });
    }

    function put(node, [row, column]) {
      const [rows, columns] = size();
      node.style.setProperty("left", `${(100 * column) / columns}%`);
      node.style.setProperty("top", `${(100 * row) / rows}%`);
    }

    /** Show one cell, and say it to those who do not see it. */
    function show(at, aloud = false) {
      const [row, column] = at;
      const value = data.at(row, column);
      const labels = [readable(data.rows[row]), readable(data.columns[column])];
      put(cursor.node(), at);
      for (const [strip, index] of [[heads, column], [sides, row]]) strip.selectAll("bdi").classed("here", (_, i) => i === index);
      ground.root.classed("pointed", true);
      const sign = data.signed ? (value < 0 ? "against" : "for") : "strength";
      ground.tip.show(() => cellBox(field.node(), at, ...size()), [
        ...axes().map((name, i) => ["name", name, labels[i]]),
        ["score", value === null ? textOf(null) : number(value, data.signed)],
        ["unit", value === null ? "" : data.unit],
      ], value === null ? "none" : sign);
      if (aloud) ground.announce(`${labels.join(", ")}: ${textOf(value)}`);
    }

    function hide() {
      ground.tip.hide();
      ground.root.classed("pointed", false);
      for (const strip of [heads, sides]) strip.selectAll(".here").classed("here", false);
      if (data) put(cursor.node(), active);
    }

    const choose = ([row, column]) => trigger("select", { row, column });

    field.on("pointermove", (event) => data && show(under(event, field.node(), ...size())));
    field.on("pointerleave", hide);
    field.on("click", (event) => {
      if (!data) return;
      active = under(event, field.node(), ...size());
      show(active);
      choose(active);
    });
    field.on("focus", () => data && field.node().matches(":focus-visible") && show(active, true));
    field.on("blur", hide);
    field.on("keydown", (event) => {
      if (!data) return;
      if (event.key === "Escape") return hide();
      const chosen = event.key === "Enter" || event.key === " ";
      const to = chosen ? active : moved(event, active, ...size());
      if (!to) return;
      event.preventDefault();
      active = to;
      show(active, true);
      cursor.node().scrollIntoView({ block: "nearest", inline: "nearest" });
      if (chosen) choose(active);
    });
    onTheme(drawCells);

    function table() {
      if (!data || !ground.details.node().open) return;
      const [rows, columns] = size();
      if (Math.max(rows, columns) <= WHOLE_TABLE) {
        const lines = data.rows.map((label, row) => [readable(label), ...data.columns.map((_, column) => textOf(data.at(row, column)))]);
        return drawTable(ground.details, [data.axes ? axes().join(" / ") : "", ...data.columns.map(readable)], lines);
      }
      const all = data.rows.flatMap((_, row) => data.columns.map((__, column) => ({ row, column, value: data.at(row, column) })));
      const strongest = all.filter(({ value }) => value).sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, STRONGEST);
      drawTable(
        ground.details,
        [...axes(), say("the strongest {count}", { count: strongest.length })],
        strongest.map(({ row, column, value }) => [readable(data.rows[row]), readable(data.columns[column]), textOf(value)]),
      );
    }

    return { draw };
  }

  return { mount };
})();
