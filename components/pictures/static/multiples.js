/* Several attributions below each other, a row each: AttributionMultiples.mount(element, {trigger}) -> {draw}. */
(() => {
  "use strict";
  const {
    SEGMENTS, SWATCHES, buildPicture, change, destination, drawLines, kindOf, linesOf, number, paint, percent, place, readable, say, sourceOf,
  } = AttributionHeatmap;
  const { select } = attributionD3;

  const BLOCKS = { text: "Input", second: "Second text", generated: "Output so far" };
  let mounted = 0;

  /** What a row shows: the cells of one output and the texts that they count in, or null where there is no attribution (yet). */
  function seen(item, row, words) {
    const data = item.attribution;
    if (!data?.tokens || !data.outputs.length) return null;
    const chosen = Math.min(Math.max(row ?? 0, 0), data.outputs.length - 1);
    const picture = buildPicture(data, { row: chosen, words, specials: false, view: "heat" });
    const sources = Object.fromEntries(SEGMENTS.map((segment) => [segment, sourceOf(data, segment)]));
    return { data, row: chosen, sources, ...picture };
  }

  /** How many characters two cells of two rows have in common: those at the same place of the same text. */
  function shared(one, cell, other, second) {
    if (cell.special || second.special || cell.segment !== second.segment) return 0;
    const [start, end] = [Math.max(cell.start, second.start), Math.min(cell.end, second.end)];
    const text = (row) => row.sources[cell.segment].slice(start, end);
    return end > start && text(one) === text(other) ? end - start : 0;
  }

  /** The cell of another row that has most in common with `cell`, or null. */
  function twin(one, cell, other) {
    let best = [0, null];
    for (const second of other.cells) {
      const common = shared(one, cell, other, second);
      if (common > best[0]) best = [common, second];
    }
    return best[1];
  }

  /** Words as lines of a table, in reading order: what stands at the same place with the same letters is one line. */
  function tableOf(rows) {
    const lines = new Map();
    rows.forEach((row, column) => {
      for (const cell of row?.cells ?? []) {
        if (cell.later || cell.special) continue;
        const key = `${SEGMENTS.indexOf(cell.segment)} ${cell.start} ${cell.end} ${cell.text}`;
        if (!lines.has(key)) lines.set(key, { cell, scores: rows.map(() => "–") });
        lines.get(key).scores[column] = number(cell.score, row.data.signed);
      }
    });
    const order = ({ cell }) => [SEGMENTS.indexOf(cell.segment), cell.start, cell.end];
    return [...lines.values()].sort((a, b) => order(a).map((value, i) => value - order(b)[i]).find(Boolean) ?? 0);
  }

  function mount(element, { trigger }) {
    const view = globalThis.AttributionAddress?.view() ?? [];
    const state = { view: view.includes("bars") ? "bars" : "heat", words: !view.includes("tokens"), active: 0, chosen: -1 };
    const tipId = `multiples-tip-${++mounted}`;
    let value = null;
    let rows = []; // what each row shows, null where there is nothing yet

    const root = select(element).append("div").attr("class", "attribution-picture attribution-multiples");
    const bar = root.append("div").attr("class", "bar");
    const legend = bar.append("div").attr("class", "legend");
    const controls = bar.append("div").attr("class", "controls");
    const list = root.append("div").attr("class", "rows").attr("role", "group").attr("aria-label", say("Comparison"));
    const findings = root.append("div").attr("class", "findings").attr("role", "status");
    const table = root.append("details").attr("class", "table").on("toggle", drawTable);
    table.append("summary").text(say("Scores as a table"));
    const tip = root.append("div").attr("class", "tip").attr("role", "tooltip").attr("id", tipId).attr("popover", "manual");

    makeControls();
    const tooltip = listen();
    draw(null);

    /** Draw a value, an error in its place, or null for an empty picture. What a person has chosen stays. */
    function draw(next) {
      const incoming = next?.error ? { items: [{ title: "", error: next.error }] } : next;
      value = incoming?.items?.length ? incoming : null;
      state.chosen = value?.chosen ?? state.chosen;
      render();
    }

    function render() {
      const items = value?.items ?? [];
      rows = items.map((item) => seen(item, value.row, state.words));
      root.attr("data-view", state.view).attr("data-unit", state.words ? "words" : "tokens").classed("empty", !items.length)
        .attr("aria-busy", items.some((item) => pending(item)) ? "true" : null);
      controls.selectAll("button").attr("aria-pressed", function () {
        return { heat: state.view === "heat", bars: state.view === "bars", words: state.words, tokens: !state.words }[this.dataset.name];
      });
      bar.classed("absent", !items.some((item) => !item.error));
      drawLegend();
      list.selectAll(".row").data(items).join(enterRow).each(drawRow);
      drawFindings();
      drawTable();
      rove(state.active, false);
      tooltip.refresh();
    }

    const pending = (item) => !item.error && (!item.attribution || item.attribution.provisional);

    function makeControls() {
      const group = (label) => controls.append("div").attr("class", "segments").attr("role", "group").attr("aria-label", say(label));
      const button = (parent, name, text, chosen) =>
        parent.append("button").attr("type", "button").attr("data-name", name).text(say(text)).on("click", () => {
          Object.assign(state, chosen);
          render();
        });
      const kinds = group("View");
      button(kinds, "heat", "Heatmap", { view: "heat" });
      button(kinds, "bars", "Bars", { view: "bars" });
      const unit = group("Words or tokens");
      button(unit, "words", "Words", { words: true });
      button(unit, "tokens", "Tokens", { words: false });
    }

    /** A ramp for each kind of score that is shown, and the sentence that every row has its own scale. */
    function drawLegend() {
      const kinds = ["signed", "unsigned"].filter((kind) => rows.some((row) => row?.largest && row.data.signed === (kind === "signed")));
      const ends = { signed: [say("against"), say("for")], unsigned: ["0", say("strength")] };
      const ramps = legend.selectAll(".ramp").data(kinds).join((enter) => {
        const ramp = enter.append("div").attr("class", "ramp");
        for (const part of ["low", "scale", "high"]) ramp.append("span").attr("class", part);
        return ramp;
      });
      ramps.select(".low").text((kind) => ends[kind][0]);
      ramps.select(".high").text((kind) => ends[kind][1]);
      ramps.select(".scale").attr("aria-hidden", "true").each(function (kind) {
        select(this).selectAll(".swatch").data(SWATCHES[kind]).join("span").attr("class", "swatch").each(function (size) {
          paint(this, { score: size, size: Math.abs(size) }, kind === "signed");
        });
      });
      const unsure = rows.some((row) => row?.cells.some((cell) => cell.unsure));
      const notes = kinds.length ? [["own", say("Each row has its own colour scale: its strongest word gets the full colour.")]] : [];
      if (unsure) notes.push(["dotted", say("not distinguishable from 0")]);
      legend.selectAll(".note").data(notes).join("span").attr("class", ([kind]) => `note ${kind}`).text(([, text]) => text);
    }

    // ---------------------------------------------------------------- rows

    function enterRow(enter) {
      const row = enter.append("div").attr("class", "row").attr("role", "group");
      const head = row.append("div").attr("class", "head");
      head.append("button").attr("type", "button").attr("class", "title").attr("dir", "auto")
        .on("click", (event, item) => choose(value.items.indexOf(item)));
      for (const part of ["subtitle", "strongest", "state"]) head.append("div").attr("class", part).attr("dir", "auto");
      const body = row.append("div").attr("class", "content");
      for (const segment of SEGMENTS) {
        const block = body.append("div").attr("class", `block ${segment}`);
        block.append("span").attr("class", "label").attr("aria-hidden", "true").text(say(BLOCKS[segment]));
        block.append("div").attr("class", "lines").attr("role", "list");
      }
      body.append("p").attr("class", "message").attr("role", "status");
      return row;
    }

    function drawRow(item, index) {
      const row = rows[index];
      const node = select(this);
      node.classed("falls", Boolean(row?.cells.some((cell) => cell.low < 0))).classed("silent", Boolean(row?.silence))
        .classed("untitled", !item.title).attr("aria-label", item.title || null);
      node.select(".title").text(item.title).attr("aria-pressed", state.chosen === index);
      node.select(".subtitle").text(item.subtitle ?? "");
      const strongest = row?.largest ? `${say("strongest word")} ${number(row.largest)} · ${row.data.unit}` : "";
      node.select(".strongest").text(strongest);
      node.select(".state").text(item.error || !pending(item) ? "" : row ? say("Preliminary numbers, refining …") : say("Computing …"));
      const drawn = SEGMENTS.filter((segment) => drawBlock(node.select(`.block.${segment}`), row, segment, item.title));
      node.select(".content").classed("labelled", drawn.length > 1);
      node.select(".message").text(message(item, row));
    }

    function message(item, row) {
      if (item.error) return `${item.error.message} ${item.error.hint ?? ""}`.trim();
      if (row?.silence) return say("No signal: {reason}", { reason: row.silence });
      return row && !row.largest ? say("No signal in the text: only special tokens have a score.") : "";
    }

    /** The words of one segment; whether there are any. */
    function drawBlock(block, row, segment, title) {
      const cells = row?.cells.filter((cell) => cell.segment === segment) ?? [];
      // The last generated token is an output only: it is no input of any other.
      const source = segment === "generated" ? (row?.sources.generated ?? "").slice(0, cells.at(-1)?.end ?? 0) : (row?.sources[segment] ?? "");
      const lines = cells.length && source ? linesOf(source, cells) : [];
      block.classed("absent", !lines.length);
      drawLines(block.select(".lines").attr("aria-label", title), lines, "cell", (node, { cell, first }) => {
        change(node, "role", first ? "listitem" : null);
        change(node, "aria-hidden", first ? null : "true");
        change(node, "aria-label", first ? `${readable(cell.text)}, ${spoken(row, cell)}` : null);
        paint(node, cell, row.data.signed);
        return ["later", "explained", "unsure"].filter((name) => cell[name]).concat(cell.special ? "outside" : []).join(" ");
      });
      return lines.length > 0;
    }

    function drawFindings() {
      const part = findings.selectAll("section").data(value?.findings ?? []).join((enter) => {
        const node = enter.append("section");
        node.append("h4");
        node.append("ul").attr("dir", "ltr"); // sentences about a result stay English
        return node;
      });
      part.select("h4").text(({ title }) => say(title));
      part.select("ul").selectAll("li").data(({ lines }) => lines).join("li").text((line) => line);
    }

    const scored = (row, cell) => number(cell.score, row.data.signed) + (cell.margin ? ` ± ${number(cell.margin)}` : "");

    function spoken(row, cell) {
      if (cell.later) return say("after this output");
      const rank = say("rank {rank} of {all}", { rank: cell.rank, all: row.ranked });
      return [`${scored(row, cell)} ${row.data.unit}`, rank, cell.unsure ? say("not distinguishable from 0") : ""].filter(Boolean).join(", ");
    }

    function choose(item) {
      state.chosen = item;
      render();
      trigger("select", { item, index: item, value: value.items[item].title });
    }

    // ---------------------------------------------------------------- keyboard and pointer

    function stops() {
      return list.selectAll(".title, .cell[role=listitem]").nodes();
    }

    /** One tab stop for all titles and words: the active one. */
    function rove(index, focus) {
      const nodes = stops();
      state.active = Math.min(Math.max(index, 0), Math.max(nodes.length - 1, 0));
      nodes.forEach((node, i) => change(node, "tabindex", i === state.active ? 0 : -1));
      if (focus) nodes[state.active]?.focus();
    }

    function listen() {
      let shownFor = null; // the element whose tooltip is open
      const cellOf = (target) => target?.closest?.(".cell[data-sign]") ?? null;
      const show = (node) => {
        const cell = node && select(node).datum()?.cell;
        if (!cell) return hide();
        if (shownFor && shownFor !== node) shownFor.removeAttribute("aria-describedby");
        shownFor = node;
        node.setAttribute("aria-describedby", tipId);
        const index = list.selectAll(".row").nodes().indexOf(node.closest(".row"));
        mark(rows[index], cell);
        fillTip(rows[index], cell);
        if (!tip.classed("open")) tip.classed("open", true).node().showPopover?.();
        place(tip.node(), node);
      };
      const hide = () => {
        shownFor?.removeAttribute("aria-describedby");
        shownFor = null;
        list.selectAll(".cell.same").classed("same", false);
        if (tip.classed("open")) tip.classed("open", false).node().hidePopover?.();
      };
      const moved = () => shownFor && place(tip.node(), shownFor);
      addEventListener("scroll", moved, { capture: true, passive: true });
      addEventListener("resize", moved);
      list.on("pointerover", (event) => show(cellOf(event.target)));
      list.on("pointerleave", () => show(cellOf(list.node().contains(document.activeElement) ? document.activeElement : null)));
      list.on("focusin", (event) => {
        const index = stops().indexOf(event.target);
        if (index >= 0) rove(index, false);
        show(cellOf(event.target));
      });
      list.on("focusout", hide);
      list.on("keydown", (event) => {
        if (event.key === "Escape") return hide();
        const nodes = stops();
        if (!nodes.includes(event.target) || event.altKey || event.ctrlKey || event.metaKey) return;
        const target = destination(event.key, event.target, nodes);
        if (target === null) return;
        event.preventDefault();
        rove(target, true);
      });
      return { refresh: () => shownFor && (shownFor.isConnected ? show(cellOf(shownFor)) : hide()) };
    }

    /** The same word in every row. */
    function mark(row, cell) {
      list.selectAll(".row").each(function (_, index) {
        const other = rows[index];
        select(this).selectAll(".cell").classed("same", ({ cell: second }) => Boolean(other) && (second === cell || shared(row, cell, other, second) > 0));
      });
    }

    function fillTip(row, cell) {
      tip.attr("data-sign", cell.later ? "none" : kindOf(cell.score, row.data.signed));
      const rank = say("{share} of all absolute scores · rank {rank} of {all}", { share: percent(cell.share), rank: cell.rank, all: row.ranked });
      const head = [
        ["token", readable(cell.text)],
        ["score", cell.later ? say("after this output") : scored(row, cell)],
        ["unit", cell.later ? "" : row.data.unit],
        ["share", cell.later ? "" : rank],
        ["remark", cell.unsure && !cell.later ? say("not distinguishable from 0") : ""],
      ];
      tip.selectAll(".row").data(head).join("div").attr("class", ([kind]) => `row ${kind}`).attr("dir", "auto").text(([, text]) => text);
      const others = rows.flatMap((other, index) => {
        const same = other && other !== row && !cell.later ? twin(row, cell, other) : null;
        if (!same || same.later) return [];
        return [[value.items[index].title, number(same.score, other.data.signed), say("rank {rank} of {all}", { rank: same.rank, all: other.ranked })]];
      });
      tip.selectAll(".pieces").data(others.length ? [others] : []).join("div").attr("class", "pieces")
        .selectAll("div").data((lines) => lines).join("div").selectAll("bdi").data((line) => line).join("bdi").text((text) => text);
    }

    // ---------------------------------------------------------------- the table

    function drawTable() {
      table.classed("absent", !rows.some(Boolean));
      if (!table.node().open || !value) return;
      const grid = table.selectAll(".scroll").data([0]).join((enter) => {
        const node = enter.append("div").attr("class", "scroll").append("table");
        node.append("thead").append("tr");
        node.append("tbody");
        return node;
      });
      const heads = value.items.map((item, index) => (rows[index] ? `${item.title} (${rows[index].data.unit})` : item.title));
      grid.select("tr").selectAll("th").data([say("Word"), ...heads]).join("th").attr("scope", "col").attr("dir", "auto").text((text) => text);
      grid.select("tbody").selectAll("tr").data(tableOf(rows)).join("tr").selectAll("td")
        .data((line) => [readable(line.cell.text), ...line.scores])
        .join("td").attr("dir", (_, column) => (column ? null : "auto")).text((text) => text);
    }

    return { draw };
  }

  globalThis.AttributionMultiples = { mount };
})();
