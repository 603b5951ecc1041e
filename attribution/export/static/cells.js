/* From an attribution (the JSON of drawing/browser.py) to cells in lines. Pure functions that do not touch the page. */
(() => {
  "use strict";
  const api = (globalThis.AttributionHeatmap ??= {});

  const NEWLINE = /\r\n|[\n\r\u0085\u2028\u2029]/;
  const LINES = /[^\n\r\u0085\u2028\u2029]*(?:\r\n|[\n\r\u0085\u2028\u2029]|$)/g;

  // Invisible characters that change what is read. Joiners and variation selectors inside a visible token are exempt, because
  // scripts and emoji need them; so are tag characters after the black flag.
  const HIDDEN =
    /[\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\u{e0001}]|[\u{e0020}-\u{e007f}](?<!\u{1f3f4}[\u{e0020}-\u{e007f}]+)/u;
  const JOINERS_ONLY = /^[\u200c\u200d\ufe00-\ufe0f]+$/;
  const NAMES = {
    0xad: "SHY", 0x61c: "ALM", 0x200b: "ZWSP", 0x200c: "ZWNJ", 0x200d: "ZWJ", 0x200e: "LRM", 0x200f: "RLM", 0x202a: "LRE",
    0x202b: "RLE", 0x202c: "PDF", 0x202d: "LRO", 0x202e: "RLO", 0x2060: "WJ", 0x2066: "LRI", 0x2067: "RLI", 0x2068: "FSI",
    0x2069: "PDI", 0xfeff: "BOM",
  };
  const SPACES = { "\n": "⏎", "\r": "⏎", "\r\n": "⏎", "\t": "⇥" };

  // Keep these rules and words in step with ../../sentences.py.
  const SEGMENTS = ["text", "second", "generated"];
  const Z = 1.96;
  const ROUNDING = 1e-6;
  const PALE = 4;
  const WHOLE = -1;

  /** Translate an interface text into the language of the page, which only the app knows; `{name}` is replaced by its value. */
  const say = (text, values = {}) =>
    globalThis.AttributionWords?.say(text, values) ?? text.replace(/\{(\w+)\}/g, (placeholder, name) => values[name] ?? placeholder);

  const sum = (values) => values.reduce((total, value) => total + value, 0);
  const finite = (value) => (Number.isFinite(value) ? value : 0);

  /** Map code point offsets (Python) in `text` to UTF-16 code unit offsets (JavaScript). */
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
    ({ text: data.text, second: data.request.second ?? "", generated: isGenerative(data) ? (data.prediction.text ?? "") : "" })[segment];

  /** Whether the model generates text. (An answer extracted from the text is a prediction, but not a text to draw.) */
  const isGenerative = (data) => data.layout?.writes || data.tokens.some((token) => token.segment === "generated");

  /** The names of the two texts of a pair, or null. */
  function partsOfPair(data) {
    if (!data.request.second && !data.tokens.some((token) => token.segment === "second")) return null;
    return (data.layout?.parts ?? ["First text", "Second text"]).map((name) => say(name));
  }

  /** The name of an output; with a contrast "this rather than that". */
  const nameOutput = (output) =>
    output.contrast ? say("{this} rather than {that}", { this: output.text, that: output.contrast }) : output.text;

  /** Why the scores of a row carry no signal, or "". */
  function noSignalReason(data, row) {
    const scores = data.scores[row].map((score) => Math.abs(finite(score)));
    if (!scores.some((score) => score > 0)) return say("every score of this row is 0.");
    const errors = data.errors?.[row];
    if (errors && !scores.some((score, index) => score > Z * errors[index])) return say("no score is distinguishable from 0. Use more samples.");
    const size = Math.max(Math.abs(data.outputs[row].value), Math.abs(data.completeness?.[row].baseline ?? 0));
    const rounding = data.signed && Math.max(...scores) < ROUNDING * size;
    return rounding ? say("every score is below one millionth of the explained quantity, which may be rounding error alone.") : "";
  }

  /**
   * The cells of a segment in reading order. Tokens that share a span, or with `merged` a word, share a cell; a token that the
   * model reads as another text, such as [UNK], shows that.
   */
  function cellsOf(data, segment, merged) {
    const source = sourceOf(data, segment);
    const at = codePoints(source);
    const cells = [];
    let waiting = []; // tokens with an empty span, and those of white space before a word, join the next cell
    data.tokens.forEach((token, index) => {
      if (token.segment !== segment) return;
      const last = cells.at(-1);
      const position = last ? last.end : 0;
      const [start, end] = [at(token.start), at(token.end)];
      if (token.special) cells.push({ special: true, word: null, start: position, end: position, tokens: [index] });
      else if (start >= end || (merged && !source.slice(start, end).trim())) waiting.push(index);
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
      cell.text = cell.special ? cell.tokens.map((index) => data.tokens[index].text).join(" ")
        : (!merged && cell.tokens.length === 1 && data.tokens[cell.tokens[0]].text) || source.slice(cell.start, cell.end);
    }
    return cells;
  }

  /** The tokens at or after the output, which cannot have caused it; their scores are exactly 0. */
  function laterTokens(data, row) {
    const output = data.outputs[row];
    if (!isGenerative(data) || output.id === WHOLE) return new Set();
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
   * `scale` is the largest |score| of the visible cells; it includes the intervals if bars show them, and is larger without a
   * signal, so that noise does not look like one. `size` is |score| / scale; `low` and `high` are the 95 % interval / scale.
   * `share` is the part of |score| in the sum over all cells, special tokens included.
   */
  function buildPicture(data, { row, words, specials, view }) {
    const later = laterTokens(data, row);
    const place = isGenerative(data) ? null : data.outputs[row].position;
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
    const silence = noSignalReason(data, row);
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

  /** Cells and the text between them as lines of items `{kind, text, cell, first}`; their texts concatenated are the source. */
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
    for (const line of lines) line.forEach((item, i) => (item.joint = roundedEnds(line[i - 1], item, line[i + 1])));
    return lines;
  }

  // Pieces of a word touch: without padding Arabic letters still join, and the word reads as one.
  function roundedEnds(before, item, after) {
    const same = (other) => other?.kind === "cell" && item.kind === "cell" && other.cell.word !== null && other.cell.word === item.cell.word;
    return `${same(before) ? "" : "start"} ${same(after) ? "" : "end"}`.trim();
  }

  /**
   * The outputs as choices. Generated tokens have spans like cells; one that shares its span with the previous token has no text
   * of its own. Other outputs are represented by their names.
   */
  function choicesOf(data) {
    if (!isGenerative(data)) return data.outputs.map((output, row) => ({ row, word: null, special: true, start: 0, end: 0, text: nameOutput(output), output }));
    const generated = data.prediction.text ?? "";
    const at = codePoints(generated);
    let position = 0;
    return data.outputs.map((output, row) => {
      const start = Math.max(at(output.start), position);
      const end = Math.max(at(output.end), start);
      const special = end <= start;
      const text = special ? output.text : generated.slice(start, end);
      if (!special) position = end;
      return { row, word: null, special, start: special ? position : start, end: special ? position : end, text, output };
    });
  }

  /** Split `text` at invisible characters, each of which becomes a part with a `mark`. */
  function splitHidden(text) {
    if (text && JOINERS_ONLY.test(text)) return [...text].map((character) => ({ text: character, mark: markName(character) }));
    if (!HIDDEN.test(text)) return [{ text }];
    return text
      .split(new RegExp(`(${HIDDEN.source})`, "u"))
      .filter(Boolean)
      .map((part) => (HIDDEN.test(part) ? { text: part, mark: markName(part) } : { text: part }));
  }

  function markName(character) {
    const point = character.codePointAt(0);
    return NAMES[point] ?? `U+${point.toString(16).toUpperCase().padStart(4, "0")}`;
  }

  /** Signs for a text that is only white space, else "". */
  function spaceMark(text) {
    if (!text || /\S/.test(text)) return "";
    return [...text.replace(/\r\n/g, "\n")].map((character) => SPACES[character] ?? "␣").join("");
  }

  /** `text` for a label, with marks in place of invisible characters. */
  const readable = (text) =>
    spaceMark(text) || splitHidden(text).map((part) => (part.mark ? `[${part.mark}]` : part.text)).join("").replace(/\s+/g, " ");

  Object.assign(api, { SEGMENTS, say, sourceOf, isGenerative, partsOfPair, nameOutput, buildPicture, linesOf, choicesOf, splitHidden, spaceMark, readable });
})();
