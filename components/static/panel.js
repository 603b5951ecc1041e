/* The words beside the picture: what the model says, what the method means, how far it adds up. Text only ever enters as text. */
const AttributionPanel = (() => {
  function make(tag, name, text) {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = text;
    return node;
  }

  const percent = new Intl.NumberFormat("en", { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 });

  function labels(prediction, target, onSelect) {
    const list = make("div", "panel-labels");
    list.setAttribute("role", "radiogroup");
    list.setAttribute("aria-label", "Label to explain");
    const order = prediction.labels.map((_, i) => i).sort((a, b) => prediction.probabilities[b] - prediction.probabilities[a]);
    order.forEach((i) => {
      const row = make("button", "panel-label");
      row.type = "button";
      row.setAttribute("role", "radio");
      row.setAttribute("aria-checked", String(i === target));
      row.title = i === target ? "This label is explained" : "Explain this label";
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

  function mount(element, { onSelect }) {
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
      const said = make("div", "panel-part");
      said.append(make("h3", "", data.prediction.text === null ? "The model says" : "The model writes"));
      if (data.prediction.text === null) said.append(labels(data.prediction, data.target, onSelect));
      else {
        const written = make("p", "panel-written", data.prediction.text);
        written.dir = "auto";
        said.append(written);
      }
      said.append(make("p", "panel-quiet", `Explained: ${data.explained}.`));
      if (data.model_note) said.append(make("p", "panel-quiet", data.model_note));
      const meant = make("div", "panel-part");
      meant.append(make("h3", "", `What it shows: ${data.method.title}`));
      meant.append(make("p", "", data.method.summary), make("p", "panel-quiet", data.method.caveat));
      meant.append(make("h3", "", "How far it adds up"), make("p", data.rough ? "panel-warn" : "", data.adds_up));
      data.notes.forEach((note) => meant.append(make("p", "panel-quiet", note)));
      return [said, meant];
    }

    function draw(data) {
      if (!data) return root.replaceChildren();
      const focused = [...root.querySelectorAll(".panel-label")].indexOf(document.activeElement);
      root.replaceChildren(...(data.error ? failure(data.error) : answer(data)));
      if (focused >= 0) root.querySelectorAll(".panel-label")[focused]?.focus();
    }
    return { draw };
  }

  return { mount };
})();
globalThis.AttributionPanel = AttributionPanel;
