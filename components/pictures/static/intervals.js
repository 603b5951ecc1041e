/* A panel for each metric: every method as a dot with a whisker, random scores as a dotted line. Values only ever become text nodes. */
globalThis.AttributionIntervals = (() => {
  "use strict";
  const { say } = AttributionHeatmap;
  const { drawTable, frame } = AttributionChart;
  const { select } = attributionD3;

  const ARROWS = { higher: "↑", lower: "↓" };
  const BETTER = { higher: "higher is better", lower: "lower is better" };
  const KEYS = [
    ["first", "ranked first"], ["rival", "not distinguishable from it"], ["control", "random scores"], ["band", "range of random orders"],
    ["ceiling", "best attainable"],
  ];
  const ROOM = 0.04;
  const NICE = [1, 2, 5, 10];
  const MINUS = "\u2212";

  const defined = (value) => Number.isFinite(value);
  /** Numbers of one column have the same decimals, so that their points stand below each other. */
  const fixed = (value) => (Math.abs(value) < 1000 ? value.toFixed(3) : value.toPrecision(3)).replace("-", MINUS);
  const interval = (row) => (defined(row.low) && defined(row.high) ? `[${fixed(row.low)}, ${fixed(row.high)}]` : "");

  /** The least and the most that a panel shows, with a little room. */
  function ends(panel) {
    if (panel.range) return panel.range;
    const all = [...panel.rows.flatMap((row) => [row.mean, row.low, row.high]), panel.ceiling, ...(panel.band ?? [])].filter(defined);
    if (!all.length) return [0, 1];
    const [least, most] = [Math.min(...all), Math.max(...all)];
    const room = (most - least) * ROOM || 0.1;
    const step = stepOf((most - least + 2 * room) / 5);
    const [low, high] = (panel.bounds ?? []).map((bound, i) => bound ?? [-Infinity, Infinity][i]);
    // No further than the metric itself goes, where the values keep to that.
    const start = Math.max(Math.floor((least - room) / step) * step, Math.min(low ?? -Infinity, least));
    return [start, Math.min(Math.ceil((most + room) / step) * step, Math.max(high ?? Infinity, most))];
  }

  /** The next larger of 1, 2 or 5 times a power of ten. */
  function stepOf(size) {
    const power = 10 ** Math.floor(Math.log10(size));
    return power * NICE.find((nice) => nice * power >= size * 0.999);
  }

  const plain = (value) => String(Number(value.toPrecision(6))).replace("-", MINUS);

  function mount(element) {
    const ground = frame(element, "intervals", { onTable: table });
    const lead = ground.body.append("div").attr("class", "lead").attr("role", "status").attr("dir", "ltr");
    const bar = ground.body.append("div").attr("class", "progress");
    const track = bar.append("div").attr("class", "done-track").attr("role", "progressbar").attr("aria-label", say("Texts"));
    track.append("span");
    bar.append("span").attr("class", "count").attr("role", "status");
    const panels = ground.body.append("div").attr("class", "metrics");
    const notes = ground.body.append("div").attr("class", "notes").attr("dir", "ltr"); // sentences about a result stay English
    let data = null;
    addEventListener("input", () => fade());

    function draw(next) {
      ground.root.attr("aria-busy", next?.pending ? "true" : null);
      if (next?.pending && data) return;
      const value = next?.pending ? { panels: [], note: say("Computing …") } : next;
      data = ground.opens(value?.panels || value?.error ? value : null) ? value : null;
      lead.selectAll("p").data(data?.lead ?? []).join("p").text((text) => text);
      drawProgress(data?.progress);
      drawKey(data?.panels ?? []);
      panels.classed("single", data?.panels.length === 1).selectAll(".metric").data(data?.panels ?? []).join(enter).each(drawPanel);
      notes.selectAll("p").data(data?.notes ?? []).join("p").text((text) => text);
      fade();
      table();
    }

    /** What is about another text than the one in the box says so by fading. */
    function fade() {
      const typed = data?.text === undefined ? null : document.querySelector("#text textarea")?.value;
      ground.root.classed("outdated", typed !== null && typed !== undefined && typed.trim() !== data.text.trim());
    }

    function drawProgress(progress) {
      const shown = Boolean(progress) && progress.total > 1 && (progress.done < progress.total || progress.stopped);
      bar.classed("absent", !shown);
      if (!shown) return;
      track.attr("aria-valuemin", 0).attr("aria-valuemax", progress.total).attr("aria-valuenow", progress.done)
        .select("span").style("width", `${(100 * progress.done) / progress.total}%`);
      bar.select(".count").text(say(progress.stopped ? "Stopped after {done} of {total} texts" : "{done} of {total} texts", progress));
    }

    /** Only what is drawn is explained. */
    function drawKey(shown) {
      const present = new Set(shown.flatMap((panel) => panel.rows.filter((row) => defined(row.mean)).map((row) => row.place)));
      if (shown.some((panel) => panel.band)) present.add("band");
      if (shown.some((panel) => defined(panel.ceiling))) present.add("ceiling");
      ground.legend.selectAll(".key").data(KEYS.filter(([kind]) => present.has(kind)), ([kind]) => kind).join((entered) => {
        const key = entered.append("span").attr("class", "key");
        key.append("i").attr("class", ([kind]) => `mark ${kind}`).attr("aria-hidden", "true");
        key.append("span").text(([, text]) => say(text));
        return key;
      }).order();
    }

    function enter(parent) {
      const panel = parent.append("section").attr("class", "metric");
      const head = panel.append("h4");
      for (const part of ["name", "arrow", "better"]) head.append("span").attr("class", part);
      panel.append("ul").attr("class", "rows");
      const axis = panel.append("div").attr("class", "axis").attr("aria-hidden", "true").append("div").attr("dir", "ltr");
      axis.append("span");
      axis.append("span");
      panel.append("p").attr("class", "sentence").attr("dir", "ltr");
      return panel;
    }

    function drawPanel(panel) {
      const node = select(this);
      const [least, most] = ends(panel);
      const left = (value) => `${(100 * (value - least)) / (most - least || 1)}%`;
      node.select("h4 .name").text(say(panel.title));
      node.select(".arrow").attr("aria-hidden", "true").text(ARROWS[panel.better]);
      node.select(".better").text(say(BETTER[panel.better]));
      const control = panel.rows.find((row) => row.place === "control" && defined(row.mean));
      node.select(".rows").selectAll(".row").data(panel.rows).join(enterRow).each(function (row) {
        drawRow(select(this), row, { panel, control, left });
      });
      node.select(".axis > div").selectAll("span").data([least, most]).text(plain);
      node.select(".sentence").text(panel.sentence ?? "");
    }

    function enterRow(parent) {
      const row = parent.append("li").attr("class", "row");
      row.append("span").attr("class", "name").attr("dir", "auto");
      const box = row.append("span").attr("class", "track").attr("dir", "ltr").attr("aria-hidden", "true");
      for (const part of ["band", "line control", "line ceiling", "whisker", "dot"]) box.append("i").attr("class", part);
      const value = row.append("span").attr("class", "value");
      value.append("span").attr("class", "number");
      value.append("span").attr("class", "unseen");
      row.append("span").attr("class", "reason").attr("dir", "ltr");
      return row.on("pointerenter", (_, one) => point(row.nodes().find((node) => select(node).datum() === one), one)).on("pointerleave", ground.tip.hide);
    }

    function point(node, row) {
      const lines = [["name", row.name, defined(row.mean) ? fixed(row.mean) : say("undefined")]];
      if (interval(row)) lines.push(["share", interval(row)]);
      if (row.count > 1) lines.push(["share", say("{count} texts", { count: row.count })]);
      ground.tip.show(() => node.querySelector(".track").getBoundingClientRect(), lines);
    }

    function drawRow(node, row, { panel, control, left }) {
      const put = (part, shown, at, to = at) => {
        const mark = node.select(part).classed("absent", !shown);
        if (shown) mark.style("left", left(at)).style("width", to === at ? null : `calc(${left(to)} - ${left(at)})`);
      };
      node.attr("data-place", row.place).classed("unknown", !defined(row.mean));
      node.select(".name").text(row.name);
      put(".band", Boolean(panel.band), ...(panel.band ?? [0]));
      put(".line.control", Boolean(control), control?.mean);
      put(".line.ceiling", defined(panel.ceiling), panel.ceiling);
      put(".whisker", defined(row.low) && defined(row.high), row.low, row.high);
      put(".dot", defined(row.mean), row.mean);
      node.select(".number").text(defined(row.mean) ? fixed(row.mean) : say("undefined"));
      node.select(".unseen").text(interval(row) && ` ${interval(row)}`);
      node.select(".reason").text(row.reason);
    }

    function table() {
      if (!data || !ground.details.node().open) return;
      const names = [...new Set(data.panels.flatMap((panel) => panel.rows.map((row) => row.name)))];
      const cell = (panel, name) => {
        const row = panel.rows.find((one) => one.name === name);
        return row && defined(row.mean) ? `${fixed(row.mean)} ${interval(row)}`.trim() : say("undefined");
      };
      const head = ["", ...data.panels.map((panel) => `${say(panel.title)} ${ARROWS[panel.better]}`)];
      drawTable(ground.details, head, names.map((name) => [name, ...data.panels.map((panel) => cell(panel, name))]));
    }

    return { draw };
  }

  return { mount };
})();
