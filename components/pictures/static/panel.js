/* The words under the picture: what the model says, what the method shows, how well it adds up. Values only become text nodes. */
const AttributionPanel = (() => {
  const { say } = AttributionHeatmap;

  function make(tag, name, text) {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (tag === "p") node.dir = "auto"; // sentences are English on a page of any language
    if (text !== undefined) node.textContent = text;
    return node;
  }

  const percent = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

  function labels(prediction, targets, onSelect) {
    const list = make("div", "panel-labels");
    // Several labels may be explained at once; a click then chooses one of them.
    const single = targets.length < 2;
    list.setAttribute("role", single ? "radiogroup" : "group");
    list.setAttribute("aria-label", say(single ? "Label to explain" : "Explained labels"));
    const order = prediction.labels.map((_, i) => i).sort((a, b) => prediction.probabilities[b] - prediction.probabilities[a]);
    order.forEach((i) => {
      const row = make("button", "panel-label");
      row.type = "button";
      const explained = targets.includes(i);
      row.setAttribute("role", single ? "radio" : "checkbox");
      row.setAttribute("aria-checked", String(explained));
      row.title = say(explained && single ? "This label is being explained" : explained ? "Explain only this label" : "Explain this label");
      const track = make("span", "panel-track");
      const bar = make("span", "panel-bar");
      bar.style.width = `${100 * prediction.probabilities[i]}%`;
      track.append(bar);
      row.append(make("span", "panel-name", prediction.labels[i]), track, make("span", "panel-share", percent.format(prediction.probabilities[i])));
      row.addEventListener("click", () => onSelect(prediction.labels[i]));
      list.append(row);
    });
    return list;
  }

  function mount(element, { trigger }) {
    const onSelect = (label) => trigger("select", { value: label, index: 0 });
    const root = make("section", "panel");
    root.setAttribute("aria-live", "polite");
    element.replaceChildren(root);

    function failure(error) {
      const box = make("div", "panel-error");
      box.setAttribute("role", "alert");
      box.append(make("p", "", error.message), make("p", "panel-quiet", error.hint));
      return [box];
    }

    function answer(data) {
      const answerPart = make("div", "panel-part");
      answerPart.append(make("h3", "", say(data.prediction.heading, { word: data.prediction.word })));
      const line = (data.prediction.text ?? data.prediction.said).trim();
      if (line) answerPart.append(make("p", "panel-written", line));
      if (data.prediction.labels.length) answerPart.append(labels(data.prediction, data.targets, onSelect));
      answerPart.append(make("p", "panel-quiet", say("Explained: {what}.", { what: data.explained })));
      if (data.model_note) answerPart.append(make("p", "panel-quiet", data.model_note));
      const methodPart = make("div", "panel-part");
      methodPart.append(make("h3", "", say("What it shows: {method}", { method: data.method.title })));
      methodPart.append(make("p", "", data.method.summary), make("p", "panel-quiet", data.method.caveat));
      if (data.no_signal) methodPart.append(make("p", "panel-warn", data.no_signal));
      if (data.fit || data.errors) methodPart.append(make("h3", "", say("Uncertainty")));
      if (data.fit) methodPart.append(make("p", data.poor ? "panel-warn" : "", data.fit));
      if (data.errors) methodPart.append(make("p", "panel-quiet", data.errors));
      methodPart.append(make("h3", "", say("How well the scores add up")), make("p", data.rough ? "panel-warn" : "", data.adds_up));
      data.notes.forEach((note) => methodPart.append(make("p", "panel-quiet", note)));
      return [answerPart, methodPart];
    }

    /** What did not change keeps its elements: their focus stays, and a screen reader does not read it again. */
    function renew(parent, nodes) {
      [...parent.childNodes].slice(nodes.length).forEach((old) => old.remove());
      nodes.forEach((node, i) => {
        const old = parent.childNodes[i];
        if (!old) parent.append(node);
        else if (!old.isEqualNode(node)) old.replaceWith(node);
      });
    }

    function draw(data) {
      root.setAttribute("aria-busy", String(Boolean(data?.provisional)));
      if (!data?.prediction && !data?.error) return root.replaceChildren();
      const focused = [...root.querySelectorAll(".panel-label")].indexOf(document.activeElement);
      renew(root, data.error ? failure(data.error) : answer(data));
      if (focused >= 0) root.querySelectorAll(".panel-label")[focused]?.focus();
    }
    return { draw };
  }

  return { mount };
})();
globalThis.AttributionPanel = AttributionPanel;
