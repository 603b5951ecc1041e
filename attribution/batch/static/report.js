/* The report of a run over a table: AttributionReport.mount(element) -> {draw(document)}; the document is that of ../report.py.
   Table contents reach the page as text nodes or attribute values, never as markup. */
globalThis.AttributionReport = (() => {
  "use strict";
  const { buildPicture, drawLines, linesOf, mount: mountHeatmap, number, paint, percent, readable, say, sourceOf, SEGMENTS } = AttributionHeatmap;
  const { select } = attributionD3;

  const PAGE = 25;
  const KINDS = ["text", "second", "generated"];
  const SURE = 0.05;
  const count = new Intl.NumberFormat("en");

  function make(tag, name = "", text = undefined, attributes = {}) {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = text;
    for (const [key, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(key, value);
    return node;
  }

  /** A text from a table, with its own direction and visible marks for invisible characters. */
  const bdi = (text, name = "") => make("bdi", name, readable(String(text ?? "")));

  function button(text, name, onClick, attributes = {}) {
    const node = make("button", name, text, { type: "button", ...attributes });
    node.addEventListener("click", onClick);
    return node;
  }

  // ---------------------------------------------------------------- from the document

  /** Expand a drawing into the attribution that the heatmap reads: see ../compact.py. */
  function expandDrawing(drawing) {
    const { text, second, written: generated } = drawing;
    const sources = { text, second: second ?? "", generated: generated ?? "" };
    const points = {};
    const slice = (segment, start, end) => (points[segment] ??= [...sources[segment]]).slice(start, end).join("");
    const tokens = drawing.tokens.map(([start, end, word, id, kind, spelled]) => {
      const segment = KINDS[kind % 4];
      return { start, end, id, segment, special: kind >= 4, word: word < 0 ? null : word, text: spelled ?? slice(segment, start, end) };
    });
    const outputs = drawing.outputs.map(([name, id, value, probability, start, end, position, contrast]) => (
      { text: name, id, value, probability, start, end, position, contrast }));
    return {
      text, tokens, outputs, scores: drawing.scores, errors: drawing.errors, signed: drawing.signed, unit: drawing.unit,
      request: { second, target: { quantity: drawing.quantity } }, layout: drawing.layout,
      prediction: { text: generated, labels: [] }, completeness: drawing.baselines?.map((baseline) => ({ baseline })) ?? null,
    };
  }

  /** The address that opens a row in the live page; keep in step with `link` in ../debugging.py. */
  function linkOf(value, row, pair) {
    if (!value.base) return null;
    const { model, method } = value.pairs[pair];
    const request = { text: row.text, model, method, second: row.second, ...value.asked, ...value.options[method] };
    const query = new URLSearchParams();
    for (const [name, argument] of Object.entries(request)) {
      if (argument === null || argument === "" || name === "task" || name === "revision") continue;
      query.set(name, Array.isArray(argument) ? argument.join(",") : argument);
    }
    const address = `${value.base}?${query}`;
    return address.length <= 8000 && !row.cut ? address : null;
  }

  const answerOf = (row, pair) => row.answers.find((answer) => answer.pair === pair) ?? null;

  const stateOf = (answer) => (answer.error ? "failed" : answer.correct === false ? "wrong" : answer.correct ? "right" : "answered");

  const NAMES = { failed: "failed", wrong: "wrong", right: "right" };
  const FIRST = { failed: 0, wrong: 1, answered: 2, right: 2 };
  const certainty = (row, pair) => answerOf(row, pair)?.probability ?? 0;
  const SORTS = {
    errors: (pair) => (a, b) => {
      const [first, second] = [stateOf(answerOf(a, pair)), stateOf(answerOf(b, pair))];
      return FIRST[first] - FIRST[second] || (first === "wrong" ? certainty(b, pair) - certainty(a, pair) : 0) || a.place - b.place;
    },
    order: () => (a, b) => a.place - b.place,
    unsure: (pair) => (a, b) => (answerOf(a, pair)?.margin ?? 2) - (answerOf(b, pair)?.margin ?? 2) || a.place - b.place,
    sure: (pair) => (a, b) => (answerOf(b, pair)?.margin ?? -1) - (answerOf(a, pair)?.margin ?? -1) || a.place - b.place,
  };

  /** Text without differences of case, as Python folds it: "STRASSE" is "straße". */
  const fold = (text) => text.normalize("NFC").toUpperCase().toLowerCase().replaceAll("ς", "σ").normalize("NFC");

  const IN_WORD = /[\p{L}\p{M}\p{N}_]/u;
  const SPACELESS = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
  const joins = (character) => IN_WORD.test(character) && !SPACELESS.test(character);

  /** Whether `text` has `word` as a word of its own: "he" is not in "the". Both are folded. */
  function hasWord(text, word) {
    for (let at = text.indexOf(word); at >= 0; at = text.indexOf(word, at + 1)) {
      const before = [...text.slice(Math.max(0, at - 2), at)].at(-1) ?? "";
      const after = String.fromCodePoint(text.codePointAt(at + word.length) ?? 32);
      const letters = [...word];
      if (!(joins(before) && joins(letters[0])) && !(joins(letters.at(-1)) && joins(after))) return true;
    }
    return false;
  }

  /** The folded text that a search looks through. */
  function haystack(row) {
    row.hay ??= [row.text, row.second, row.label, ...row.answers.flatMap((answer) => [answer.predicted, answer.error?.message, answer.error?.error])]
      .filter(Boolean).map(fold).join("\n");
    return row.hay;
  }

  // ---------------------------------------------------------------- parts of the page

  function table(name, head, rows) {
    const scroll = make("div", `scroll ${name}`, undefined, { tabindex: "0", role: "region", "aria-label": say("Table") });
    const grid = make("table");
    const line = make("tr");
    for (const title of head) line.append(make("th", "", title, { scope: "col" }));
    const body = make("tbody");
    for (const cells of rows) {
      const row = make("tr");
      for (const cell of cells) {
        const box = make("td");
        box.append(cell instanceof Node ? cell : String(cell));
        row.append(box);
      }
      body.append(row);
    }
    const top = make("thead");
    top.append(line);
    grid.append(top, body);
    scroll.append(grid);
    return scroll;
  }

  function part(title, ...nodes) {
    const section = make("section", "portion");
    section.append(...(title ? [make("h2", "", title)] : []), ...nodes);
    return section;
  }

  const note = (text) => make("p", "note", text, { dir: "auto" });
  const between = (low, high, show = number) => (low === null || low === undefined ? "" : `${show(low)} … ${show(high)}`);

  function summary(value) {
    const head = [say("Model"), say("Method"), say("Answered"), say("Failed"), say("Right"), say("95 % interval")];
    return table("summary", head, value.pairs.map((pair) => [
      bdi(pair.model), bdi(pair.title), count.format(pair.answered), count.format(pair.failed),
      pair.accuracy ? `${percent(pair.accuracy[0])} (${count.format(pair.judged - pair.mistakes)} / ${count.format(pair.judged)})` : "–",
      pair.accuracy ? between(pair.accuracy[1], pair.accuracy[2], percent) : "–",
    ]));
  }

  /** Words as bars around 0, with their intervals; a click searches for the word. */
  function wordBars(words, scale, onWord) {
    const list = make("ul", "bars", undefined, { role: "list" });
    const at = (score) => `${(50 + (50 * score) / scale).toFixed(2)}%`;
    for (const [text, rows, mean, low, high] of words) {
      const item = make("li");
      const title = `${number(mean, true)}${low === null || low === undefined ? "" : ` (${between(low, high)})`}, ${say("{count} rows", { count: rows })}`;
      const name = button("", "word", () => onWord(text), { title });
      name.append(bdi(text));
      const track = make("span", `track ${mean < 0 ? "against" : "for"}${low !== undefined && low !== null && low * high > 0 ? "" : " unsure"}`, undefined, { "aria-hidden": "true" });
      const bar = make("span", "bar-of");
      bar.style.left = at(Math.min(mean, 0));
      bar.style.width = `${((50 * Math.abs(mean)) / scale).toFixed(2)}%`;
      track.append(bar);
      if (low !== null && low !== undefined) {
        const whisker = make("span", "whisker");
        const [from, to] = [Math.max(low, -scale), Math.min(high, scale)];
        whisker.style.left = at(from);
        whisker.style.width = `${((50 * (to - from)) / scale).toFixed(2)}%`;
        track.append(whisker);
      }
      item.append(name, track, make("span", "figure", `${number(mean, true)} · ${count.format(rows)}`));
      list.append(item);
    }
    return list;
  }

  function groupOf(group, pair, onWord) {
    const box = make("div", "group");
    const rows = say("{count} rows", { count: count.format(group.rows) });
    const title = make("h3");
    if (group.predicted) title.append(say("Predicted:"), " ", bdi(group.predicted), ` · ${rows}`);
    else title.append(rows);
    box.append(title);
    if (group.explained && group.explained !== group.predicted) {
      const explained = make("p", "note");
      explained.append(say("Explained:"), " ", bdi(group.explained));
      box.append(explained);
    }
    const means = [...group.positive, ...group.negative].map(([, , mean]) => Math.abs(mean));
    const scale = Math.max(...means, 1e-30) * 1.25;
    const columns = make("div", "columns");
    for (const [name, words] of [[pair.signed ? say("Supporting words") : say("Strongest"), group.positive], [say("Opposing words"), group.negative]]) {
      if (!words.length) continue;
      const column = make("div");
      column.append(make("h4", "", name), wordBars(words, scale, onWord));
      columns.append(column);
    }
    if (!means.length) columns.append(note(say("No word has a score.")));
    box.append(columns);
    return box;
  }

  function wordsPart(value, pair, onWord) {
    const groups = value.words.filter((group) => group.pair === pair);
    if (!groups.length) return null;
    const { unit } = value.pairs[pair];
    const lines = [note(say("Mean score ({unit}) over the rows that contain the word, with its 95 % interval and the number of rows. Pale: the interval contains 0. Among many words, some exclude 0 by chance.", { unit }))];
    if (value.missed) lines.push(note(say("There were very many words: up to {count} rows per word may be missing.", { count: count.format(value.missed) })));
    return part("", ...lines, ...groups.map((group) => groupOf(group, value.pairs[pair], onWord)));
  }

  function wrongPart(value, pair, act) {
    const { mistakes, judged, drivers, differences, tested } = value.pairs[pair];
    if (!judged) return null;
    const nodes = [note(say("{wrong} of {all} rows with a known label are wrong.", { wrong: count.format(mistakes), all: count.format(judged) }))];
    const word = (text) => {
      const node = button("", "word", () => act.search(text));
      node.append(bdi(text));
      return node;
    };
    const places = (list) => {
      const box = make("span", "places");
      for (const place of list) box.append(button(String(place + 1), "place", () => act.open(place), { title: say("Row {number}", { number: place + 1 }) }));
      return box;
    };
    if (drivers.length) {
      nodes.push(make("h3", "", say("Words that drive wrong predictions")), table("drivers",
        [say("Word"), say("Predicted"), say("Wrong"), say("Right"), say("Share wrong"), say("95 % interval"), say("Rows")],
        drivers.map(([text, predicted, wrong, right, low, high, list]) => [
          word(text), bdi(predicted), wrong, right, percent(wrong / (wrong + right)), between(low, high, percent), places(list)])));
    }
    if (tested) {
      const sure = differences.filter((difference) => difference[9] < SURE).length;
      nodes.push(make("h3", "", say("Words whose scores differ between wrong and right rows")),
        note(say("{count} words were tested (Welch’s test); q is p adjusted for all of them (Benjamini–Hochberg). Of those below 0.05, about 5 % are there by chance. Here: {sure}.", { count: count.format(tested), sure })),
        table("differences",
          [say("Word"), say("Predicted"), say("Mean when wrong"), say("Mean when right"), say("Difference, 95 % interval"), "q"],
          differences.map(([text, predicted, wrong, right, meanWrong, meanRight, low, high, , q]) => [
            word(text), bdi(predicted), `${number(meanWrong, true)} · ${wrong}`, `${number(meanRight, true)} · ${right}`,
            `${number(meanWrong - meanRight, true)} (${between(low, high)})`, number(q)])));
    }
    return part("", ...nodes);
  }

  function failuresPart(value, act) {
    if (!value.failures.length) return null;
    return part(say("Rows without an answer"), table("failures", [say("Error"), say("Count"), say("For instance"), say("Rows")],
      value.failures.map(({ error, message, count: times, places }) => {
        const box = make("span", "places");
        for (const place of places) box.append(button(String(place + 1), "place", () => act.open(place), { title: say("Row {number}", { number: place + 1 }) }));
        return [bdi(error), count.format(times), bdi(message), box];
      })));
  }

  // ---------------------------------------------------------------- rows

  /** A small heatmap: the words of the first output, in their colours. */
  function mini(parent, data) {
    if (!data.outputs.length) return;
    const picture = buildPicture(data, { row: 0, words: true, specials: false, view: "heat" });
    for (const segment of SEGMENTS) {
      const cells = picture.cells.filter((cell) => cell.segment === segment);
      const source = sourceOf(data, segment);
      if (segment === "generated" || (!cells.length && !source)) continue;
      const block = make("div", `lines ${segment}`);
      parent.append(block);
      drawLines(select(block), linesOf(source, cells), "cell", (node, { cell }) => {
        paint(node, cell, data.signed);
        return `${cell.special ? "outside" : ""} ${cell.unsure ? "unsure" : ""}`.trim();
      });
    }
  }

  function head(row, answer) {
    const line = make("div", "row-head");
    line.append(make("span", "row-number", say("Row {number}", { number: row.place + 1 })));
    const state = stateOf(answer);
    if (NAMES[state]) line.append(make("span", `state ${state}`, say(NAMES[state])));
    if (!answer.error && answer.predicted) {
      const prediction = make("span", "predicted");
      prediction.append(bdi(answer.predicted.slice(0, 200)));
      if (answer.probability !== null) prediction.append(` ${percent(answer.probability)}`);
      line.append(prediction);
    }
    if (row.label !== null && state !== "right") {
      const gold = make("span", "gold");
      gold.append(say("label:"), " ", bdi(row.label));
      line.append(gold);
    }
    return line;
  }

  /** The full heatmap of a row, followed by those of the other methods. */
  function rowDetails(value, row, pair) {
    const box = make("div", "opened");
    for (const answer of [answerOf(row, pair), ...row.answers.filter((other) => other.pair !== pair)]) {
      if (!answer.drawing) continue;
      if (value.pairs.length > 1) {
        const { title, model } = value.pairs[answer.pair];
        box.append(make("h4", "", `${title} · ${model}`, { dir: "auto" }));
      }
      const place = make("div");
      box.append(place);
      mountHeatmap(place).draw(expandDrawing(answer.drawing));
    }
    return box;
  }

  function rowItem(value, row, pair, open) {
    const answer = answerOf(row, pair);
    const item = make("li", "row", undefined, { "data-place": row.place });
    item.append(head(row, answer));
    const body = make("div", "row-body");
    if (answer.drawing) mini(body, expandDrawing(answer.drawing));
    else {
      body.append(make("p", "plain", readable(row.text), { dir: "auto" }));
      if (answer.error) body.append(make("p", "why", `${answer.error.message ?? ""} ${answer.error.hint ?? ""}`, { dir: "auto" }));
    }
    const actions = make("div", "actions");
    const details = make("div", "more");
    if (answer.drawing) {
      const toggle = button("", "open", () => show(!details.firstChild), { "aria-expanded": "false" });
      const show = (wanted) => {
        details.replaceChildren(...(wanted ? [rowDetails(value, row, pair)] : []));
        toggle.setAttribute("aria-expanded", String(wanted));
        toggle.textContent = say(wanted ? "Close" : "Open");
        toggle.setAttribute("aria-label", `${say(wanted ? "Close" : "Open")}, ${say("Row {number}", { number: row.place + 1 })}`);
      };
      show(open);
      actions.append(toggle);
    }
    const address = linkOf(value, row, pair);
    if (address) actions.append(make("a", "live", say("Open on the live page"), { href: address, target: "_blank", rel: "noopener" }));
    item.append(body, actions, details);
    return item;
  }

  // ---------------------------------------------------------------- progress

  function duration(seconds) {
    if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
    return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${number(Math.round(seconds / 360) / 10)} h`;
  }

  /** Draw the progress of the run: a bar, the counts, and the estimated time left. */
  function drawProgress(box, progress) {
    box.hidden = !progress;
    if (!progress) return;
    const { done, failed, total, rate, seconds_left: left, state } = progress;
    const finished = done + failed;
    const meter = make("progress", "", undefined, { max: Math.max(total, 1), value: finished, "aria-label": say("Progress") });
    const counts = [
      say(state),
      `${count.format(finished)} / ${count.format(total)}`,
      failed ? say("{count} failed", { count: count.format(failed) }) : "",
      state === "running" && rate ? say("{rate} per second", { rate: number(rate) }) : "",
      state === "running" && left !== null ? say("about {time} left", { time: duration(left) }) : "",
    ].filter(Boolean).join(" · ");
    box.replaceChildren(meter, make("p", "", counts, { role: "status" }));
    if (progress.message) box.append(make("p", "why", progress.message, { dir: "auto" }));
    if (progress.files?.length) {
      const line = make("p", "files");
      for (const [name, address] of progress.files) line.append(make("a", "", name, { href: address, download: "" }));
      box.append(line);
    }
  }

  // ---------------------------------------------------------------- everything together

  function mount(element) {
    const root = make("div", "attribution-picture attribution-report");
    element.replaceChildren(root);
    const state = { pair: 0, view: "rows", search: "", word: false, filter: "all", sort: "errors", page: 0, open: -1 };
    let value = null;
    const message = make("p", "message quiet", say("Results appear here as soon as they are available."));
    const progress = make("div", "progress", undefined, {});
    const top = make("div");
    const rows = make("section", "portion");
    progress.hidden = true;
    const list = make("ol", "rows", undefined, { role: "list" });
    const views = make("div", "views", undefined, { role: "group", "aria-label": say("View") });
    const words = make("div");
    const tools = make("div", "tools");
    const matches = make("p", "note", "", { role: "status" });
    const pages = make("nav", "pages", undefined, { "aria-label": say("Result pages") });
    rows.append(tools, matches, list, pages);
    rows.hidden = true;
    root.append(message, progress, top, views, words, rows);

    const act = {
      search(text) {
        Object.assign(state, { view: "rows", search: text, word: true, filter: "all", page: 0, open: -1 });
        drawAll();
        views.scrollIntoView({ block: "start" });
      },
      open(place) {
        Object.assign(state, { view: "rows", search: "", word: false, filter: "all", sort: "order", open: place });
        state.page = Math.max(0, Math.floor(chosenRows().findIndex((row) => row.place === place) / PAGE));
        drawAll();
        list.querySelector(`[data-place="${place}"]`)?.scrollIntoView({ block: "center" });
        list.querySelector(`[data-place="${place}"] button`)?.focus({ preventScroll: true });
      },
    };

    /** Draw a document. One without rows updates only `progress`, unless it is `fresh`; an error replaces everything. */
    function draw(content) {
      const next = content?.json ? JSON.parse(content.json) : content;
      const notice = next?.error ? `${next.error.message} ${next.error.hint}` : say(next?.note ?? "");
      message.textContent = notice || (value || next?.rows || next?.preview ? "" : say("Results appear here as soon as they are available."));
      message.classList.toggle("quiet", !next?.error);
      drawProgress(progress, next?.progress ?? null);
      if (!next?.rows) {
        if (value && !next?.fresh && !next?.error) return;
        value = null;
        rows.hidden = true;
        for (const box of [views, words]) box.replaceChildren();
        top.replaceChildren();
        if (next?.preview) drawPreview(next.preview);
        return;
      }
      value = next;
      for (const row of value.rows) row.cut = row.text.length >= 1000 || (row.second?.length ?? 0) >= 1000;
      if (state.pair >= value.pairs.length) state.pair = 0;
      drawAll();
    }

    function drawAll() {
      drawTop();
      drawViews();
      drawTools();
      drawRows();
    }

    /** Draw the selected view: the rows, or a summary over all rows. */
    function drawViews() {
      const parts = { rows: null, wrong: wrongPart(value, state.pair, act), words: wordsPart(value, state.pair, act.search) };
      const names = [["rows", say("Rows")], ["wrong", say("Where it goes wrong")], ["words", say("Words across all rows")]].filter(([name]) => name === "rows" || parts[name]);
      if (!names.some(([name]) => name === state.view)) state.view = "rows";
      const focused = [...views.children].indexOf(document.activeElement);
      views.replaceChildren(...names.map(([name, text]) => button(text, "", () => {
        state.view = name;
        drawViews();
      }, { "aria-pressed": String(name === state.view) })));
      views.children[focused]?.focus();
      words.replaceChildren(...[parts[state.view]].filter(Boolean));
      rows.hidden = state.view !== "rows";
    }

    /** Draw the first rows of a table before it is explained. */
    function drawPreview({ name, count: length, columns, rows: first }) {
      const title = make("h2");
      title.append(bdi(name), length === null ? "" : ` · ${say("{count} rows", { count: count.format(length) })}`);
      top.replaceChildren(title, table("preview", columns.map((column) => readable(column)), first.map((cells) => cells.map((cell) => bdi(cell)))));
    }

    function drawTop() {
      const nodes = [failuresPart(value, act), part(say("Summary"), summary(value))];
      if (value.left_out) nodes.unshift(note(value.left_out));
      if (value.pairs.length > 1) nodes.unshift(pairBox());
      top.replaceChildren(...nodes.filter(Boolean));
    }

    function choice(label, options, chosen, onChange) {
      const box = make("label", "choice-of", label);
      const node = make("select");
      for (const [key, text] of options) {
        const option = make("option", "", text, { value: key });
        option.selected = key === chosen;
        node.append(option);
      }
      node.addEventListener("change", () => onChange(node.value));
      box.append(node);
      return box;
    }

    function pairBox() {
      const pairs = value.pairs.map(({ title, model }, i) => [String(i), `${title} · ${model}`]);
      const box = make("div", "tools");
      box.append(choice(say("Method"), pairs, String(state.pair), (chosen) => {
        Object.assign(state, { pair: Number(chosen), page: 0 });
        drawAll();
        top.querySelector("select").focus();
      }));
      return box;
    }

    const search = make("input", "", undefined, { type: "search", placeholder: say("Search rows"), "aria-label": say("Search rows") });
    search.addEventListener("input", () => {
      Object.assign(state, { search: search.value, word: false, page: 0, open: -1 });
      drawRows();
    });

    function drawTools() {
      if (document.activeElement !== search) search.value = state.search;
      const change = (name) => (chosen) => {
        Object.assign(state, { [name]: chosen, page: 0, open: -1 });
        drawRows();
      };
      const filters = [["all", say("all rows")], ["wrong", say("wrong")], ["failed", say("failed")], ["right", say("right")]];
      const sorts = [["errors", say("errors first")], ["unsure", say("least certain first")], ["sure", say("most certain first")], ["order", say("in table order")]];
      const boxes = [choice(say("Show"), filters, state.filter, change("filter")), choice(say("Order"), sorts, state.sort, change("sort"))];
      // The search box stays in the document, so that it keeps the focus.
      if (search.parentNode !== tools) tools.prepend(search);
      while (search.nextSibling) search.nextSibling.remove();
      tools.append(...boxes);
    }

    function chosenRows() {
      const wanted = fold(state.search.trim());
      const has = state.word ? (row) => [row.text, row.second].some((text) => text && hasWord(fold(text), wanted)) : (row) => haystack(row).includes(wanted);
      const fits = (row) => answerOf(row, state.pair) && (state.filter === "all" || stateOf(answerOf(row, state.pair)) === state.filter) && (!wanted || has(row));
      return value.rows.filter(fits).sort(SORTS[state.sort](state.pair));
    }

    function drawRows() {
      const all = chosenRows();
      const last = Math.max(0, Math.ceil(all.length / PAGE) - 1);
      state.page = Math.min(state.page, last);
      const shown = all.slice(state.page * PAGE, (state.page + 1) * PAGE);
      matches.textContent = all.length ? say("{from} to {to} of {all}", { from: count.format(state.page * PAGE + 1), to: count.format(state.page * PAGE + shown.length), all: count.format(all.length) }) : say("No row matches.");
      list.replaceChildren(...shown.map((row) => rowItem(value, row, state.pair, row.place === state.open)));
      const to = (page) => () => {
        Object.assign(state, { page, open: -1 });
        drawRows();
        views.scrollIntoView({ block: "start" });
      };
      const back = button(say("Previous"), "", to(state.page - 1), state.page ? {} : { disabled: "" });
      const on = button(say("Next"), "", to(state.page + 1), state.page < last ? {} : { disabled: "" });
      pages.replaceChildren(...(last ? [back, make("span", "", `${state.page + 1} / ${last + 1}`), on] : []));
    }

    return { draw };
  }

  return { expandDrawing, linkOf, mount };
})();
