/* From an attribution (the JSON of drawing/browser.py) to cells in lines. Pure functions; nothing here touches the page. */
(() => {
  "use strict";
  const api = (globalThis.AttributionHeatmap ??= {});

  const NEWLINE = /\r\n|[\n\r\u0085\u2028\u2029]/;
  const LINES = /[^\n\r\u0085\u2028\u2029]*(?:\r\n|[\n\r\u0085\u2028\u2029]|$)/g;

  // Characters that draw nothing and yet change what is read. Joiners and variation selectors are left alone inside a visible
  // token, where scripts and emoji need them; tag characters are left alone after the black flag.
  const HIDDEN =
    /[\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\u{e0001}]|[\u{e0020}-\u{e007f}](?<!\u{1f3f4}[\u{e0020}-\u{e007f}]+)/u;
  const JOINERS_ONLY = /^[\u200c\u200d\ufe00-\ufe0f]+$/;
  const NAMES = {
    0xad: "SHY", 0x61c: "ALM", 0x200b: "ZWSP", 0x200c: "ZWNJ", 0x200d: "ZWJ", 0x200e: "LRM", 0x200f: "RLM", 0x202a: "LRE",
    0x202b: "RLE", 0x202c: "PDF", 0x202d: "LRO", 0x202e: "RLO", 0x2060: "WJ", 0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI",
    0x2069: "PDI", 0xfeff: "BOM",
  };
  const SPACES = { "\n": "⏎", "\r": "⏎", "\r\n": "⏎", "\t": "⇥" };

  // The same rules and words as in ../../sentences.py.
  const SEGMENTS = ["text", "second", "generated"];
  const Z = 1.96;
  const ROUNDING = 1e-6;
  const PALE = 4;
  const WHOLE = -1;

  /** A string of ours in the language of the page, which only the app knows; `{name}` stands for the value of that name. */
  const say = (text, values = {}) =>
    globalThis.AttributionWords?.say(text, values) ?? text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);

  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const finite = (value) => (Number.isFinite(value) ? value : 0);

  /** Where each code point of `text`, and its end, stands in UTF-16: Python counts code points, JavaScript code units. */
  function codePoints(text) {
    const index = [];
    let at = 0;
    for (const character of text) {
      index.push(at);
      at += character.length;
    }
    index.push(at);
    return (position) => index[Math.min(Math.max(position, 0), index.length - 1)];
  }

  const sourceOf = (data, segment) =>
    ({ text: data.text, second: data.request.second ?? "", generated: writes(data) ? (data.prediction.text ?? "") : "" })[segment];

  /** Whether the model generates text. (What a model answers from a text is a prediction too, but no text to draw.) */
  const writes = (data) => data.layout?.writes || data.tokens.some((token) => token.segment === "generated");

  /** What the two texts of a pair are called, or null. */
  function partsOfPair(data) {
    if (!data.request.second && !data.tokens.some((token) => token.segment === "second")) return null;
    return (data.layout?.parts ?? ["First text", "Second text"]).map((name) => say(name));
  }

  /** An output by its name: with a contrast "this rather than that". */
  const named = (output) =>
    output.contrast ? say("{this} rather than {that}", { this: output.text, that: output.contrast }) : output.text;

  /** Why the scores of one row are no signal, or "". */
  function silenceOf(data, row) {
    const scores = data.scores[row].map((score) => Math.abs(finite(score)));
    if (!scores.some((score) => score > 0)) return say("every score of this row is 0.");
    const errors = data.errors?.[row];
    if (errors && !scores.some((score, index) => score > Z * errors[index])) return say("no score is distinguishable from 0. Use more samples.");
    const size = Math.max(Math.abs(data.outputs[row].value), Math.abs(data.completeness?.[row].baseline ?? 0));
    const rounding = data.signed && Math.max(...scores) < ROUNDING * size;
    return rounding ? say("every score is below one millionth of the explained quantity, which may be rounding error alone.") : "";
  }

  /** The tokens of one segment as cells in reading order. What shares a span, or (`merged`) a word, is one cell. */
  function cellsOf(data, segment, merged) {
    const source = sourceOf(data, segment);
    const at = codePoints(source);
    const cells = [];
    let waiting = []; // tokens without a span of their own go to the next cell
    data.tokens.forEach((token, index) => {
      if (token.segment !== segment) return;
      const last = cells.at(-1);
      const position = last ? last.end : 0;
      const [start, end] = [at(token.start), at(token.end)];
      if (token.special) cells.push({ special: true, word: null, start: position, end: position, tokens: [index] });
      else if (start >= end) waiting.push(index);
      else if (last && !last.special && (start < last.end || (merged && token.word !== null && token.word === last.word))) {
        last.end = Math.max(last.end, end);
        last.pointEnd = Math.max(last.pointEnd, token.end);
        last.tokens.push(...waiting, index);
        waiting = [];
      } else {
        const points = { pointStart: token.start, pointEnd: token.end };
        cells.push({ special: false, word: token.word, start: Math.max(start, position), end, ...points, tokens: [...waiting, index] });
        waiting = [];
      }
    });
    if (waiting.length) {
      const last = cells.findLast((cell) => !cell.special);
      if (last) last.tokens.push(...waiting);
      else cells.push({ special: true, word: null, start: 0, end: 0, tokens: waiting });
    }
    for (const cell of cells) {
      cell.segment = segment;
      cell.text = cell.special ? cell.tokens.map((index) => data.tokens[index].text).join(" ") : source.slice(cell.start, cell.end);
    }
    return cells;
  }

  /** Which tokens stand at or after the output, so that they cannot have caused it. Their scores are exactly 0. */
  function laterTokens(data, row) {
    const output = data.outputs[row];
    if (!writes(data) || output.id === WHOLE) return new Set();
    const before = data.outputs.slice(0, row).map((other) => other.end);
    const limit = output.start < output.end ? output.start : Math.max(0, ...before);
    const later = new Set();
    let reached = false;
    data.tokens.forEach((token, index) => {
      if (token.segment !== "generated") return;
      reached ||= token.start < token.end && token.end > limit;
      if (reached && !data.scores[row][index]) later.add(index);
    });
    return later;
  }

  /**
   * Everything that the picture of one row shows.
   * `size` is |score| over `scale`: the largest |score| of the cells shown, with room for the intervals where bars show them, and
   * more where there is no signal, for noise at full strength would look like one. `low` and `high` are a 95 % interval over `scale`.
   * `share` is of the sum over all cells, special ones included.
   */
  function build(data, { row, words, specials, view }) {
    const later = laterTokens(data, row);
    const place = writes(data) ? null : data.outputs[row].position;
    const errors = data.errors?.[row];
    const cells = SEGMENTS.flatMap((segment) => cellsOf(data, segment, words));
    for (const cell of cells) {
      cell.score = sum(cell.tokens.map((index) => finite(data.scores[row][index])));
      cell.error = errors ? sum(cell.tokens.map((index) => finite(errors[index]))) : null;
      cell.margin = Z * (cell.error ?? 0);
      cell.unsure = cell.margin > 0 && Math.abs(cell.score) <= cell.margin;
      cell.later = cell.tokens.every((index) => later.has(index));
      cell.explained = place != null && cell.tokens.includes(place);
    }
    const shown = cells.filter((cell) => specials || !cell.special || cell.explained);
    const total = sum(cells.map((cell) => Math.abs(cell.score)));
    const largest = Math.max(0, ...shown.map((cell) => Math.abs(cell.score)));
    const silence = silenceOf(data, row);
    const reach = view === "bars" && errors ? Math.max(0, ...shown.map((cell) => Math.abs(cell.score) + cell.margin)) : 0;
    const scale = reach || largest * (silence ? PALE : 1);
    const ranking = shown.filter((cell) => !cell.later).sort((a, b) => Math.abs(b.score) - Math.abs(a.score));
    ranking.forEach((cell, place) => (cell.rank = place + 1));
    const part = (value) => (scale > 0 ? value / scale : 0);
    for (const cell of cells) {
      cell.size = part(Math.abs(cell.score));
      cell.high = part(cell.score + cell.margin);
      cell.low = part(data.signed ? cell.score - cell.margin : Math.max(cell.score - cell.margin, 0));
      cell.share = total > 0 ? Math.abs(cell.score) / total : 0;
    }
    const ofSpecials = sum(cells.filter((cell) => cell.special).map((cell) => cell.share));
    return {
      cells: shown, total, largest, scale, silence, ranked: ranking.length, special: cells.some((cell) => cell.special), ofSpecials,
    };
  }

  /** Cells and the text between them as lines of items `{kind, text, cell, first}`; the texts joined are the source again. */
  function linesOf(source, cells) {
    const lines = [[]];
    const push = (kind, text, cell) => {
      let first = true;
      for (const [piece] of text.matchAll(LINES)) {
        const end = NEWLINE.exec(piece)?.[0] ?? "";
        const body = piece.slice(0, piece.length - end.length);
        if (cell ? first || body : body) lines.at(-1).push({ kind, text: body, cell, first });
        if (end) {
          lines.at(-1).push({ kind: "gap", text: end });
          lines.push([]);
        }
        first = false;
      }
    };
    let position = 0;
    for (const cell of cells) {
      push("gap", source.slice(position, cell.start));
      if (cell.special) lines.at(-1).push({ kind: "chip", text: cell.text, cell, first: true });
      else push("cell", cell.text, cell);
      position = Math.max(position, cell.end);
    }
    push("gap", source.slice(position));
    if (lines.length > 1 && !lines.at(-1).length) lines.pop();
    for (const line of lines) line.forEach((item, i) => (item.joint = joint(line[i - 1], item, line[i + 1])));
    return lines;
  }

  // Pieces of one word touch: without padding between them Arabic letters still join, and the eye sees one word.
  function joint(before, item, after) {
    const same = (other) => other?.kind === "cell" && item.kind === "cell" && other.cell.word !== null && other.cell.word === item.cell.word;
    return `${same(before) ? "" : "start"} ${same(after) ? "" : "end"}`.trim();
  }

  /**
   * The outputs as things to choose from. Generated tokens have spans like cells, and one that shares its span with the one before
   * has no text; whatever else is explained stands for itself, by its name.
   */
  function choicesOf(data) {
    if (!writes(data)) return data.outputs.map((output, row) => ({ row, word: null, special: true, start: 0, end: 0, text: named(output), output }));
    const written = data.prediction.text ?? "";
    const at = codePoints(written);
    let position = 0;
    return data.outputs.map((output, row) => {
      const start = Math.max(at(output.start), position);
      const end = Math.max(at(output.end), start);
      const special = end <= start;
      const text = special ? output.text : written.slice(start, end);
      if (!special) position = end;
      return { row, word: null, special, start: special ? position : start, end: special ? position : end, text, output };
    });
  }

  /** `text` in parts; a part with a `mark` holds one character that is not seen by itself. */
  function partsOf(text) {
    if (text && JOINERS_ONLY.test(text)) return [...text].map((character) => ({ text: character, mark: name(character) }));
    if (!HIDDEN.test(text)) return [{ text }];
    return text
      .split(new RegExp(`(${HIDDEN.source})`, "u"))
      .filter(Boolean)
      .map((part) => (HIDDEN.test(part) ? { text: part, mark: name(part) } : { text: part }));
  }

  function name(character) {
    const point = character.codePointAt(0);
    return NAMES[point] ?? `U+${point.toString(16).toUpperCase().padStart(4, "0")}`;
  }

  /** A sign for a text of nothing but white space, else "". */
  function spaceMark(text) {
    if (!text || /\S/.test(text)) return "";
    return [...text.replace(/\r\n/g, "\n")].map((character) => SPACES[character] ?? "␣").join("");
  }

  /** `text` as a person can read it in a label: marks in the place of what cannot be seen. */
  const readable = (text) =>
    spaceMark(text) || partsOf(text).map((part) => (part.mark ? `[${part.mark}]` : part.text)).join("").replace(/\s+/g, " ");

  Object.assign(api, { SEGMENTS, say, sourceOf, writes, partsOfPair, named, build, linesOf, choicesOf, partsOf, spaceMark, readable });
})();
