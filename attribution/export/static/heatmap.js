/* The picture: an attribution over its text. AttributionHeatmap.mount(element, options) -> {draw, destroy}.
   User text reaches the page as text nodes or attribute values, never as markup. */
(() => {
  "use strict";
  const api = (globalThis.AttributionHeatmap ??= {});
  const { SEGMENTS, buildPicture, choicesOf, colours, kindOf, linesOf, nameOutput, splitHidden, partsOfPair, readable, say, sourceOf, spaceMark, isGenerative } = api;
  const { select } = attributionD3;

  const MINUS = "\u2212";
  const SWATCHES = { signed: [-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1], unsigned: [0, 0.2, 0.4, 0.6, 0.8, 1] };
  const PIECES_SHOWN = 8;
  let mounted = 0;

  /** Format with three significant digits, a true minus sign, and a plus sign if `signed`. */
  function number(value, signed = false) {
    if (!value) return "0";
    const size = Math.abs(value);
    const digits = size >= 1e6 || size < 1e-4 ? size.toExponential(2) : String(Number(size.toPrecision(3)));
    return (value < 0 ? MINUS : signed ? "+" : "") + digits.replace("e-", `e${MINUS}`).replace("e+", "e");
  }

  const percent = (share) => (share > 0 && share < 0.001 ? "<0.1 %" : `${number(Math.round(share * 1000) / 10)} %`);

  /**
   * Options: `onSelectOutput(row)` is called when the user chooses an output. `source` is the CSS selector of the text box that
   * the picture follows, `secondSource` that of the second text of a pair: while a box differs from the picture, the picture has
   * data-current="false". With `onStrike(spans)` words can be struck out; each span is `{segment, start, end}`. `view` is a list
   * of view names from a link: "bars", "tokens", "special".
   */
  function mount(element, { onSelectOutput = () => {}, onStrike = null, source = null, secondSource = null, view = [] } = {}) {
    const state = {
      row: 0, view: view.includes("bars") ? "bars" : "heat", words: !view.includes("tokens"), specials: view.includes("special"), active: 0,
      struck: new Set(),
    };
    const tipId = `attribution-tip-${++mounted}`;
    let data = null;
    let picture = null;

    const root = select(element).append("div").attr("class", "attribution-picture").attr("data-current", "true");
    const bar = root.append("div").attr("class", "bar");
    const legend = bar.append("div").attr("class", "legend");
    const controls = bar.append("div").attr("class", "controls");
    const hint = bar.append("div").attr("class", "hint");
    const warning = root.append("p").attr("class", "warning").attr("role", "status");
    const body = root.append("div").attr("class", "body");
    const choices = section(body, "choices", say("Output")).attr("role", "radiogroup").attr("aria-label", say("Output to explain"));
    const tokenList = (kind, label, name) =>
      section(body, kind, say(label)).attr("role", onStrike ? "listbox" : "list").attr("aria-label", say(name))
        .attr("aria-multiselectable", onStrike ? "true" : null);
    const blocks = {
      text: tokenList("text", "Input", "Tokens of the text"),
      second: tokenList("second", "Second text", "Tokens of the second text"),
      generated: tokenList("generated", "Output so far", "Previously generated tokens"),
    };
    const message = root.append("p").attr("class", "message").attr("role", "status");
    const table = root.append("details").attr("class", "table").on("toggle", drawTable);
    table.append("summary").text(say("Scores as a table"));
    const tip = root.append("div").attr("class", "tip").attr("role", "tooltip").attr("id", tipId).attr("popover", "manual");

    makeControls();
    const tooltip = listenToTokens();
    const watchers = [];
    if (source) watchSource(source, () => data?.text);
    if (secondSource) watchSource(secondSource, () => data?.request.second ?? undefined);
    draw(null);

    function watchSource(selector, shown) {
      const watcher = { current: true };
      watchers.push(watcher);
      watcher.stop = watchTextBox(selector, shown, (current) => {
        watcher.current = current;
        root.attr("data-current", watchers.every((other) => other.current));
      });
    }

    /**
     * Draw the JSON of an attribution, or null for an empty picture. The user's choices persist. A provisional attribution is
     * marked as such; the refined one with the same `sequence` replaces it with a transition.
     */
    function draw(next) {
      root.classed("refined", Boolean(data?.provisional && next?.tokens && next.sequence === data.sequence));
      // An empty picture keeps the previous height, so that the page below does not jump.
      root.style("min-height", next || !data ? null : `${element.offsetHeight}px`);
      const before = data;
      data = next?.tokens ? next : null;
      if (before?.text !== data?.text || before?.request.second !== data?.request.second) clearStruck();
      if (data && state.row >= data.outputs.length) state.row = 0;
      render();
      for (const watcher of watchers) watcher.stop.check();
    }

    function render() {
      root.attr("data-view", state.view).attr("data-unit", state.words ? "words" : "tokens").attr("data-specials", state.specials ? "true" : null)
        .classed("empty", !data)
        .attr("data-provisional", data?.provisional ? "true" : null).attr("aria-busy", data?.provisional ? "true" : null);
      picture = data?.outputs.length ? buildPicture(data, state) : { cells: [], total: 0, largest: 0, scale: 0, special: false, ofSpecials: 0 };
      root.classed("signed", Boolean(data?.signed)).classed("falls", picture.cells.some((cell) => cell.low < 0))
        .classed("silent", Boolean(picture.silence));
      drawControls();
      drawLegend();
      drawChoices();
      for (const segment of SEGMENTS) drawBlock(segment);
      hint.text(progressText());
      warning.text(data?.warning ?? "");
      message.text(statusMessage()).classed("quiet", !data);
      drawTable();
      rove(state.active, false);
      tooltip.refresh();
    }

    // ---------------------------------------------------------------- controls and legend

    function makeControls() {
      const group = (label) => controls.append("div").attr("class", "segments").attr("role", "group").attr("aria-label", say(label));
      const button = (parent, name, text, change) =>
        parent.append("button").attr("type", "button").attr("data-name", name).text(say(text)).on("click", () => {
          Object.assign(state, change());
          render();
        });
      const view = group("View");
      button(view, "heat", "Heatmap", () => ({ view: "heat" }));
      button(view, "bars", "Bars", () => ({ view: "bars" }));
      const unit = group("Words or tokens");
      button(unit, "words", "Words", () => ({ words: true }));
      button(unit, "tokens", "Tokens", () => ({ words: false }));
      button(controls, "specials", "", () => ({ specials: !state.specials })).attr("class", "switch");
    }

    function drawControls() {
      const pressed = {
        heat: state.view === "heat", bars: state.view === "bars", words: state.words, tokens: !state.words, specials: state.specials,
      };
      controls.selectAll("button").attr("aria-pressed", function () {
        return pressed[this.dataset.name];
      });
      // The switch states the share of the special tokens, so that nothing is hidden without notice.
      controls.select("[data-name=specials]").selectAll("span").data([say("Special tokens"), ` ${percent(picture.ofSpecials)}`]).join("span")
        .text((text) => text);
      controls.select("[data-name=specials]")
        .attr("title", say("Share of special tokens in the sum of absolute scores"))
        .classed("absent", !picture.special);
    }

    function drawLegend() {
      const signed = Boolean(data?.signed);
      const label = data?.outputs.length ? readable(nameOutput(data.outputs[state.row])) : "";
      const hints = [
        data?.errors && state.view === "bars" ? ["whiskers", say("whisker: 95 % interval")] : null,
        picture.cells.some((cell) => cell.unsure) ? ["dotted", say("not distinguishable from 0")] : null,
      ].filter(Boolean);
      const shown = picture.scale ? ["low", "scale", "high", "unit", ...(hints.length ? ["hints"] : [])] : [];
      const parts = legend.selectAll(".part").data(shown).join("span")
        .attr("class", (part) => `part ${part}`);
      const end = (part, texts) =>
        parts.filter(`.${part}`).selectAll("span").data(texts).join("span")
          .attr("class", ([kind]) => kind).attr("title", ([kind, text]) => (kind === "target" ? text : null)).text(([, text]) => text);
      end("low", signed ? [["word", say("against")], ["number", number(-picture.scale, true)]] : [["number", "0"]]);
      end("high", [["number", number(picture.scale, signed)], ["word", signed ? say("for") : `${say("strength")} ·`], ["target", label]]);
      end("unit", [["name", data?.unit]]);
      end("hints", hints);
      parts.filter(".scale").attr("aria-hidden", "true").selectAll("span").data(SWATCHES[signed ? "signed" : "unsigned"]).join("span")
        .attr("class", "swatch").each(function (size) {
          paint(this, { score: size, size: Math.abs(size) }, signed);
          this.textContent = size || !signed ? "" : "0";
        });
    }

    /** Says that refined scores, or further rows of generated text, will follow. */
    function progressText() {
      if (!data?.provisional) return "";
      const [rows, all] = [data.outputs.length, data.prediction.labels.length];
      return isGenerative(data) && rows < all
        ? say("{rows} of {all} outputs so far, more follow …", { rows, all })
        : say("First estimate, refining …");
    }

    function statusMessage() {
      if (!data) return say("The picture appears here as soon as there is some text.");
      if (!data.outputs.length) return say("There is no output to explain.");
      if (picture.silence) return say("No signal: {reason}", { reason: picture.silence });
      if (!picture.largest) return say("No signal in the text: only special tokens have a score.");
      return "";
    }

    // ---------------------------------------------------------------- outputs to choose from

    function drawChoices() {
      const generated = Boolean(data) && isGenerative(data);
      const several = generated || data?.outputs.length > 1;
      const pair = data ? partsOfPair(data) : null;
      body.classed("labelled", Boolean(several || pair));
      select(choices.node().parentNode).classed("absent", !several);
      label(blocks.text, pair ? pair[0] : say("Input"));
      label(blocks.second, pair ? pair[1] : say("Second text"));
      const items = several ? choicesOf(data) : [];
      const lines = generated ? linesOf(data.prediction.text ?? "", items) : items.length ? [items.map(asChip)] : [];
      drawLines(choices, lines, "choice", (node, { cell: choice }) => {
        const { output, row } = choice;
        const value = output.value == null ? "" : number(output.value, true);
        const chance = output.probability == null ? value : percent(output.probability);
        const probability = output.probability == null ? "" : `, ${say("probability")} ${number(output.probability)}`;
        const quantity = data.request.target.quantity.replace("_", " ");
        change(node, "role", "radio");
        change(node, "tabindex", row === state.row ? 0 : -1);
        change(node, "aria-checked", row === state.row);
        change(node, "aria-label", `${readable(nameOutput(output))}${probability}`);
        change(node, "title", `${readable(nameOutput(output))}: ${value} ${output.contrast ? say("difference of {quantity}", { quantity }) : quantity}${probability}`);
        change(node, "data-row", row);
        change(node, "data-share", generated ? null : chance);
        return generated ? (choice.special ? "outside" : "") : "name";
      });
    }

    function label(block, text) {
      select(block.node().parentNode).select(".label").text(text);
    }

    const asChip = (choice) => ({ kind: "chip", text: choice.text, cell: choice, first: true, joint: "start end" });

    function choose(row, focus = false) {
      if (!data || row < 0 || row >= data.outputs.length) return;
      const changed = row !== state.row;
      state.row = row;
      if (changed) render();
      if (focus) choices.select(`[data-row="${row}"]`).node()?.focus();
      if (changed) onSelectOutput(row);
    }

    choices.on("click", (event) => {
      const node = event.target.closest?.(".choice");
      if (node) choose(Number(node.dataset.row));
    });
    choices.on("keydown", (event) => {
      const last = (data?.outputs.length ?? 0) - 1;
      const steps = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
      const target = event.key === "Home" ? 0 : event.key === "End" ? last : event.key in steps ? state.row + steps[event.key] : null;
      if (target === null || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      choose(Math.min(Math.max(target, 0), last), true);
    });

    // ---------------------------------------------------------------- the text

    function drawBlock(segment) {
      const cells = picture.cells.filter((cell) => cell.segment === segment);
      const source = data ? sourceOf(data, segment) : "";
      // The last generated token is an output only, never an input.
      const written = segment === "generated" ? source.slice(0, cells.at(-1)?.end ?? 0) : source;
      const lines = cells.length || (segment !== "generated" && written) ? linesOf(written, cells) : [];
      select(blocks[segment].node().parentNode).classed("absent", !lines.length);
      drawLines(blocks[segment], lines, "cell", (node, { cell, first }) => {
        change(node, "role", first ? (onStrike ? "option" : "listitem") : null);
        change(node, "aria-selected", onStrike && first ? state.struck.has(placeOf(cell)) : null);
        change(node, "aria-hidden", first ? null : "true");
        if (!first) change(node, "tabindex", null); // else see rove
        change(node, "aria-label", first ? `${readable(cell.text)}, ${spokenScore(cell)}` : null);
        paint(node, cell, data.signed);
        whisker(node, cell);
        return `${cell.later ? "later" : ""} ${cell.special ? "outside" : ""} ${cell.explained ? "explained" : ""} ${cell.unsure ? "unsure" : ""} ${
          state.struck.has(placeOf(cell)) ? "struck" : ""}`.trim().replace(/ +/g, " ");
      });
    }

    const formatScore = (cell) => number(cell.score, data.signed) + (cell.margin ? ` ± ${number(cell.margin)}` : "");
    const remarks = (cell) => [cell.unsure ? say("not distinguishable from 0") : "", cell.explained ? say("explained here") : ""].filter(Boolean);

    function spokenScore(cell) {
      return cell.later ? say("after this output") : [`${formatScore(cell)} ${data.unit}`, ...remarks(cell)].join(", ");
    }

    /** Pass the interval to the style sheet of the bars: positive parts are above the text, negative ones below. */
    function whisker(node, cell) {
      const visible = state.view === "bars" && cell.margin > 0;
      change(node, "data-whisker", visible ? "" : null);
      if (!visible) return;
      const upper = [Math.max(cell.low, 0), Math.max(cell.high, 0)];
      const lower = [Math.max(-cell.high, 0), Math.max(-cell.low, 0)];
      const cap = (end) => `center ${end < 0 ? "bottom" : "top"} calc(${(1 - Math.abs(end)).toFixed(3)} * var(--bar))`;
      const set = { "--up-from": upper[0], "--up-to": upper[1], "--down-from": lower[0], "--down-to": lower[1] };
      for (const [name, value] of Object.entries(set)) node.style.setProperty(name, value.toFixed(3));
      node.style.setProperty("--high", cap(cell.high));
      node.style.setProperty("--low", cap(cell.low));
    }

    // ---------------------------------------------------------------- words struck out

    const placeOf = (cell) => `${cell.segment} ${cell.pointStart} ${cell.pointEnd}`;

    /** Strike a word out, or restore it. Generated and special tokens cannot be struck out. */
    function strike(node) {
      const cell = node && select(node).datum()?.cell;
      if (!cell || cell.special || cell.segment === "generated") return;
      const place = placeOf(cell);
      if (!state.struck.delete(place)) state.struck.add(place);
      render();
      reportStruck();
    }

    function reportStruck() {
      onStrike([...state.struck].map((place) => place.split(" ")).map(([segment, start, end]) => ({ segment, start: +start, end: +end })));
    }

    /** Clear the struck words, whose spans do not fit a new text. */
    function clearStruck() {
      if (!state.struck.size) return;
      state.struck.clear();
      reportStruck();
    }

    // ---------------------------------------------------------------- keyboard and pointer

    function tokens() {
      return body.selectAll(".cell[role]").nodes();
    }

    /** Roving tabindex: only the active token is a tab stop. */
    function rove(index, focus) {
      const nodes = tokens();
      state.active = Math.min(Math.max(index, 0), Math.max(nodes.length - 1, 0));
      nodes.forEach((node, i) => change(node, "tabindex", i === state.active ? 0 : -1));
      if (focus) nodes[state.active]?.focus();
    }

    function listenToTokens() {
      let shownFor = null; // the element whose tooltip is open
      const cellOf = (target) => target?.closest?.(".cell[data-sign]") ?? null;
      const show = (node) => {
        const item = node && select(node).datum();
        if (!item?.cell || !data) return hide();
        if (shownFor && shownFor !== node) shownFor.removeAttribute("aria-describedby");
        shownFor = node;
        node.setAttribute("aria-describedby", tipId);
        fillTip(item.cell);
        if (!tip.classed("open")) tip.classed("open", true).node().showPopover?.();
        place(tip.node(), node);
      };
      const hide = () => {
        shownFor?.removeAttribute("aria-describedby");
        shownFor = null;
        if (tip.classed("open")) tip.classed("open", false).node().hidePopover?.();
      };
      const reposition = () => shownFor && place(tip.node(), shownFor);
      addEventListener("scroll", reposition, { capture: true, passive: true });
      addEventListener("resize", reposition);

      body.on("pointerover", (event) => show(cellOf(event.target)));
      body.on("pointerleave", () => (body.node().contains(document.activeElement) ? show(cellOf(document.activeElement)) : hide()));
      body.on("focusin", (event) => {
        const node = cellOf(event.target);
        const index = tokens().indexOf(node);
        if (index >= 0) rove(index, false);
        show(node);
      });
      body.on("focusout", hide);
      if (onStrike) {
        body.on("click", (event) => {
          hide(); // the tooltip would cover the prediction without the word
          strike(cellOf(event.target));
        });
      }
      body.on("keydown", (event) => {
        if (event.key === "Escape") return hide();
        const node = cellOf(event.target);
        if (!node || event.altKey || event.ctrlKey || event.metaKey) return;
        if (onStrike && (event.key === "Enter" || event.key === " ")) {
          event.preventDefault();
          return strike(node);
        }
        const target = destination(event.key, node, tokens());
        if (target === null) return;
        event.preventDefault();
        rove(target, true);
      });
      return {
        refresh: () => shownFor && (shownFor.isConnected && cellOf(shownFor) ? show(shownFor) : hide()),
        close: () => {
          hide();
          removeEventListener("scroll", reposition, true);
          removeEventListener("resize", reposition);
        },
      };
    }

    function fillTip(cell) {
      const pieces = cell.tokens.map((index) => ({ token: data.tokens[index], score: data.scores[state.row][index] }));
      tip.attr("data-sign", cell.later ? "none" : kindOf(cell.score, data.signed));
      const head = [
        ["token", readable(cell.text)],
        ["score", cell.later ? say("after this output") : `${formatScore(cell)}${cell.margin ? " (95 %)" : ""}`],
        ["unit", cell.later ? say("so it cannot have caused it") : data.unit],
        ["share", cell.later ? "" : say("{share} of all absolute scores · rank {rank} of {all}", { share: percent(cell.share), rank: cell.rank, all: picture.ranked })],
        ["remark", cell.later ? "" : remarks(cell).join(" · ")],
      ];
      tip.selectAll(".row").data(head).join("div").attr("class", ([kind]) => `row ${kind}`).attr("dir", "auto").text(([, text]) => text);
      const shown = pieces.slice(0, PIECES_SHOWN).map(({ token, score }) => [
        readable(token.text), `${say("token")} ${token.id}`, pieces.length > 1 ? number(score, data.signed) : "",
      ]);
      if (pieces.length > PIECES_SHOWN) shown.push([say("and {count} more", { count: pieces.length - PIECES_SHOWN }), "", ""]);
      tip.selectAll(".pieces").data([0]).join("div").attr("class", "pieces")
        .selectAll("div").data(shown).join("div").selectAll("bdi").data((piece) => piece).join("bdi").text((text) => text);
    }

    // ---------------------------------------------------------------- the table

    function drawTable() {
      table.classed("absent", !picture?.cells.length);
      if (!table.node().open || !data) return;
      const grid = table.selectAll("table").data([0]).join((enter) => {
        const node = enter.append("table");
        node.append("thead").append("tr");
        node.append("tbody");
        return node;
      });
      const pair = partsOfPair(data);
      grid.select("tr").selectAll("th").data([
        say("Token"), ...(pair ? [say("Text")] : []), `${say("Score")} (${data.unit})`, ...(data.errors ? [say("Standard error")] : []), say("Share"), say("Rank"),
      ]).join("th")
        .attr("scope", "col").text((text) => text);
      const rows = picture.cells.filter((cell) => !cell.later);
      grid.select("tbody").selectAll("tr").data(rows).join("tr").selectAll("td")
        .data((cell) => [
          readable(cell.text), ...(pair ? [pair[cell.segment === "text" ? 0 : 1]] : []), number(cell.score, data.signed),
          ...(data.errors ? [number(cell.error)] : []), percent(cell.share), cell.rank,
        ])
        .join("td").attr("dir", (_, column) => (column ? null : "auto")).text((text) => text);
    }

    function destroy() {
      for (const watcher of watchers) watcher.stop();
      tooltip.close();
      root.remove();
    }

    return { draw, destroy };
  }

  function section(parent, kind, label) {
    const block = parent.append("div").attr("class", `block ${kind}`);
    block.append("span").attr("class", "label").attr("aria-hidden", "true").text(label);
    return block.append("div").attr("class", "lines");
  }

  /** Draw lines of items, joined by position: unchanged items keep their element and focus. */
  function drawLines(parent, lines, name, draw) {
    parent.selectAll(".line").data(lines).join((enter) => enter.append("div").attr("class", "line").attr("dir", "auto"))
      .each(function (line) {
        select(this).selectChildren("span").data(line).join("span").each(function (item) {
          const own = item.kind !== "gap";
          if (this.dataset.kind !== item.kind) {
            if (this.dataset.kind) for (const attribute of [...this.attributes]) this.removeAttribute(attribute.name);
            this.dataset.kind = item.kind;
          }
          const lineBreak = item.kind === "cell" && !item.text ? "⏎" : "";
          write(this, item.text, own ? spaceMark(item.text) || lineBreak : "");
          change(this, "data-blank", own || item.text.trim() ? null : "");
          if (!own) return;
          // With its own direction a chip such as [CLS] does not decide the direction of the line.
          change(this, "dir", item.kind === "chip" ? "ltr" : null);
          change(this, "class", `${name} ${item.joint} ${draw(this, item)}`.trim());
        });
      });
  }

  function paint(node, { score, size }, signed) {
    const kind = kindOf(score, signed);
    const colour = colours(kind, size);
    restyle(node, `--size:${size.toFixed(3)};--fill:${colour.fill};--text:${colour.ink}`);
    change(node, "data-sign", size < 1 / 128 ? "none" : kind);
  }

  /** Set the style if it differs. Via CSSOM, because the content security policy of an exported file forbids the attribute. */
  function restyle(node, style) {
    if (node.painted === style && node.hasAttribute("style")) return;
    node.painted = style;
    node.style.cssText = style;
  }

  /** Set an attribute (null removes it) only if it differs: with 500 tokens this saves most of the work. */
  function change(node, name, value) {
    if (value === null) {
      if (node.hasAttribute(name)) node.removeAttribute(name);
    } else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
  }

  /** Write the text into `node` as text nodes; marks for invisible characters are drawn by the style sheet, outside the text. */
  function write(node, text, mark) {
    change(node, "data-mark", mark || null);
    const parts = splitHidden(text);
    if (parts.length === 1 && !parts[0].mark) {
      const only = node.firstChild;
      if (!only || only.nextSibling || only.nodeType !== Node.TEXT_NODE) node.textContent = text;
      else if (only.data !== text) only.data = text;
      return;
    }
    if (node.textContent === text && node.firstElementChild) return;
    node.textContent = "";
    for (const part of parts) {
      const child = part.mark ? document.createElement("i") : document.createTextNode(part.text);
      if (part.mark) {
        child.textContent = part.text;
        child.dataset.mark = part.mark;
      }
      node.append(child);
    }
  }

  /** The index that a key leads to: along the text, or to the nearest token of the row above or below. Null for other keys. */
  function destination(key, node, nodes) {
    const here = nodes.indexOf(node);
    const forward = getComputedStyle(node).direction === "rtl" ? -1 : 1;
    if (key === "Home") return 0;
    if (key === "End") return nodes.length - 1;
    if (key === "ArrowRight") return here + forward;
    if (key === "ArrowLeft") return here - forward;
    if (key !== "ArrowUp" && key !== "ArrowDown") return null;
    const down = key === "ArrowDown" ? 1 : -1;
    const box = node.getBoundingClientRect();
    let best = null;
    nodes.forEach((other, index) => {
      const rect = other.getBoundingClientRect();
      const rows = ((rect.top - box.top) * down) / Math.max(box.height, 1);
      if (rows < 0.5) return;
      const distance = rows * 1e4 + Math.abs(rect.left + rect.width / 2 - box.left - box.width / 2);
      if (!best || distance < best.distance) best = { index, distance };
    });
    return best ? best.index : here;
  }

  /** Place a tooltip beside its token, inside the window. */
  function place(tip, node) {
    const edge = 8;
    const box = node.getClientRects()[0] ?? node.getBoundingClientRect();
    const { width, height } = tip.getBoundingClientRect();
    const { clientWidth, clientHeight } = document.documentElement;
    const within = (value, size, space) => Math.max(edge, Math.min(value, space - size - edge));
    // Below the token, so that it covers neither the legend nor the text box; above it if there is no room.
    const below = box.bottom + edge;
    const top = below + height + edge <= clientHeight || box.top < height + 2 * edge ? below : box.top - height - edge;
    tip.style.setProperty("left", `${within(box.left + box.width / 2 - width / 2, width, clientWidth)}px`);
    tip.style.setProperty("top", `${within(top, height, clientHeight)}px`);
  }

  /** Call `report(current)` with whether the text box matches the picture; the text is cleaned as on the server. */
  function watchTextBox(selector, shown, report) {
    const cleaned = (text) => text.replace(/\r\n?/g, "\n").toWellFormed().replace(/[\0-\x08\x0b\x0c\x0e-\x1f]/g, "\ufffd");
    const box = () => {
      const element = document.querySelector(selector);
      return element?.matches("textarea, input") ? element : element?.querySelector("textarea, input");
    };
    const check = () => {
      const [text, typed] = [shown(), box()?.value];
      report(text === undefined || typed === undefined || cleaned(text) === cleaned(typed));
    };
    // Setting the value from a script fires no event, so poll as well.
    const timer = setInterval(check, 200);
    document.addEventListener("input", check);
    const stop = () => {
      clearInterval(timer);
      document.removeEventListener("input", check);
    };
    stop.check = check;
    return stop;
  }

  Object.assign(api, { SWATCHES, change, destination, drawLines, mount, number, paint, percent, place });
})();
