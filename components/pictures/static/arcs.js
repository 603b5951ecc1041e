/* A network between two columns of tokens: the stronger, the thicker and the darker an arc. */
globalThis.AttributionArcs = (() => {
  "use strict";
  const { change, colours, number, readable, say } = AttributionHeatmap;
  const { drawLegend, drawTable, frame } = AttributionChart;
  const { select } = attributionD3;

  const FAINTEST = 0.3; // a thin arc still has to be seen on the page's ground
  const THINNEST = 0.75;
  const THICKEST = 6;
  const SAID = 5;
  const SIDES = ["looks", "seen"];

  function mount(element) {
    const ground = frame(element, "arcs", { onTable: table });
    const controls = ground.bar.append("label").attr("class", "controls");
    const count = controls.append("span");
    const slider = controls.append("input").attr("type", "range").attr("min", 1);
    const sheet = ground.body.append("div").attr("class", "scroll").attr("dir", "ltr").append("div").attr("class", "sheet");
    const columns = Object.fromEntries(SIDES.map((side) => [side, sheet.append("div").attr("class", `tokens ${side}`).attr("role", "list")]));
    const svg = sheet.insert("svg", ".seen").attr("preserveAspectRatio", "none").attr("aria-hidden", "true");
    let data = null;
    let chosenCount = null; // arcs that a visitor chose to draw; null: as many as the value says
    let active = ["looks", 0];
    let pointed = null; // the token whose arcs are shown alone: [side, index]

    const worded = (value) => ({ ...value, unit: say(value.unit), axes: value.axes.map((axis) => say(axis)) });
    const labels = (side) => (side === "looks" ? data.rows : data.columns);
    const endOf = (arc, side) => arc[side === "looks" ? 0 : 1];
    const other = (side) => (side === "looks" ? "seen" : "looks");
    const ofToken = (side, index) => data.arcs.filter((arc) => endOf(arc, side) === index);
    const shown = () => Math.min(chosenCount ?? data.shown, data.arcs.length);

    function draw(value) {
      data = ground.opens(value?.rows?.length || value?.error ? value : null) ? worded(value) : null;
      if (!data) return;
      pointed = null;
      active = [active[0], Math.min(active[1], labels(active[0]).length - 1)];
      drawLegend(ground.legend, data);
      slider.attr("max", data.arcs.length).property("value", shown());
      sheet.style("--rows", Math.max(data.rows.length, data.columns.length));
      for (const [i, side] of SIDES.entries()) {
        columns[side].attr("aria-label", data.axes[i]).selectAll("bdi").data(labels(side)).join("bdi").attr("role", "listitem")
          .attr("title", (label) => label).text(readable).each(function (_, index) {
            change(this, "tabindex", side === active[0] && index === active[1] ? 0 : -1);
            change(this, "aria-label", spoken(side, index));
          });
      }
      drawArcs();
      table();
    }

    /** What a token attends to, or what attends to it, strongest first. */
    function spoken(side, index) {
      const arcs = ofToken(side, index).slice(0, SAID);
      const ends = arcs.map((arc) => `${readable(labels(other(side))[endOf(arc, other(side))])} ${number(arc[2])}`);
      return `${readable(labels(side)[index])}, ${data.axes[side === "looks" ? 0 : 1]}: ${ends.join(", ") || "0"}`;
    }

    function drawArcs() {
      if (!data) return;
      const arcs = pointed ? ofToken(...pointed) : data.arcs.slice(0, shown());
      count.text(say("Arcs: {count}", { count: shown() }));
      const rows = Math.max(data.rows.length, data.columns.length);
      svg.attr("viewBox", `0 0 100 ${rows}`);
      // The strongest last, on top of the others.
      svg.selectAll("path").data([...arcs].reverse()).join("path").attr("d", ([from, to]) => `M0,${from + 0.5}C50,${from + 0.5} 50,${to + 0.5} 100,${to + 0.5}`)
        .each(function ([, , weight]) {
          const size = Math.min(weight / (data.scale || 1), 1);
          this.style.setProperty("stroke", colours("strength", FAINTEST + (1 - FAINTEST) * size).fill);
          this.style.setProperty("stroke-width", `${(THINNEST + (THICKEST - THINNEST) * size).toFixed(2)}px`);
        });
      const ends = pointed && new Set(arcs.map((arc) => endOf(arc, other(pointed[0]))));
      for (const side of SIDES) {
        columns[side].selectAll("bdi").classed("faint", (_, index) => Boolean(pointed) && (side === pointed[0] ? index !== pointed[1] : !ends.has(index)));
      }
    }

    /** Only the arcs of one token, and in words the strongest of them; null for all again. */
    function point(at, node) {
      pointed = at;
      drawArcs();
      if (!at) return ground.tip.hide();
      const [side, index] = at;
      const arcs = ofToken(side, index).slice(0, SAID);
      ground.tip.show(() => node.getBoundingClientRect(), [
        ["token", readable(labels(side)[index])],
        ["share", data.axes[side === "looks" ? 0 : 1]],
        ...arcs.map((arc) => ["name", number(arc[2]), readable(labels(other(side))[endOf(arc, other(side))])]),
      ]);
    }

    const placeOf = (node) => {
      const token = node?.closest?.(".tokens bdi");
      const side = token?.parentNode.classList.contains("looks") ? "looks" : "seen";
      return token ? [side, [...token.parentNode.children].indexOf(token)] : null;
    };
    const nodeOf = ([side, index]) => columns[side].node().children[index];
    const focused = () => (sheet.node().contains(document.activeElement) ? placeOf(document.activeElement) : null);
    const back = () => {
      const at = focused();
      point(at, at && nodeOf(at));
    };

    sheet.on("pointerover", (event) => {
      const at = data && placeOf(event.target);
      if (at) point(at, nodeOf(at));
      else if (data && pointed) back();
    });
    sheet.on("pointerleave", () => data && back());
    sheet.on("focusin", (event) => {
      const at = data && placeOf(event.target);
      if (!at) return;
      change(nodeOf(active), "tabindex", -1);
      active = at;
      change(nodeOf(active), "tabindex", 0);
      point(at, nodeOf(at));
    });
    sheet.on("focusout", () => data && point(null));
    sheet.on("keydown", (event) => {
      if (!data || event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === "Escape") return point(null);
      const [side, index] = active;
      const last = labels(side).length - 1;
      const to = {
        ArrowUp: [side, index - 1], ArrowDown: [side, index + 1], Home: [side, 0], End: [side, last],
        ArrowLeft: ["looks", index], ArrowRight: ["seen", index],
      }[event.key];
      if (!to) return;
      event.preventDefault();
      nodeOf([to[0], Math.min(Math.max(to[1], 0), labels(to[0]).length - 1)]).focus();
    });
    slider.on("input", () => {
      chosenCount = Number(slider.property("value"));
      drawArcs();
    });

    function table() {
      if (!data || !ground.details.node().open) return;
      const rows = data.arcs.slice(0, 50).map(([from, to, weight]) => [readable(data.rows[from]), readable(data.columns[to]), number(weight)]);
      drawTable(ground.details, [...data.axes, data.unit], rows);
    }

    return { draw };
  }

  return { mount };
})();
