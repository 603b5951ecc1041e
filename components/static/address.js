/* The values of the controls as the body of a request, a link, code for an embedding page, or a file. */
globalThis.AttributionAddress = (() => {
  // False inside of another page, as <gradio-app>: its address and its style are not ours.
  const own = globalThis.attributionPage === true;
  const query = new URLSearchParams(own ? location.search : "");
  const root = document.documentElement;

  /** The address of the app, with a slash at its end. */
  function base() {
    if (own) return new URL(".", document.baseURI).href;
    const app = document.querySelector("gradio-app");
    const space = (app?.getAttribute("space") ?? "").replace(/[^a-z0-9]+/gi, "-").toLowerCase();
    const address = new URL(app?.getAttribute("src") ?? `https://${space}.hf.space`, document.baseURI);
    const page = app?.querySelector("#head [data-page]")?.dataset.page;
    const path = address.pathname.replace(/\/+$/, "");
    address.pathname = `${page && path.endsWith(`/${page}`) ? path.slice(0, -page.length - 1) : path}/`;
    return new URL(address.pathname, address).href;
  }

  /** The address of the page itself. */
  const here = () => new URL(own ? location.pathname : (document.querySelector("#head [data-page]")?.dataset.page ?? ""), own ? location.href : base());

  /** The words of `?view=`: "embed" for the picture and its text box, "fixed" for no text box; "bars", "tokens", "special" for how it is drawn. */
  const view = () => (query.get("view") ?? "").split(/[\s,]+/).filter(Boolean);

  // Before anything is drawn: whether the page has controls, and the short name of the theme. (Gradio reads `__theme`.)
  root.classList.add(...view().filter((word) => ["embed", "fixed"].includes(word)));
  const theme = query.get("theme");
  if (["light", "dark"].includes(theme) && !query.has("__theme")) {
    const address = new URL(location.href);
    address.searchParams.set("__theme", theme);
    history.replaceState(history.state, "", address);
  }
  if (root.classList.contains("embed")) addEventListener("DOMContentLoaded", tellHeight);

  /** Post the height of the content to the embedding page whenever it changes: `{ attributionHeight: pixels }`. */
  function tellHeight() {
    let last = 0;
    const tell = () => {
      const content = document.querySelector(".gradio-container");
      // The style sheet, which keeps it from filling the frame, may come after it.
      if (!content || getComputedStyle(content).flexGrow !== "0") return;
      const height = Math.ceil(content.getBoundingClientRect().height);
      if (height === last || !height) return;
      last = height;
      parent.postMessage({ attributionHeight: height }, "*");
    };
    const sizes = new ResizeObserver(tell);
    new MutationObserver((_, waiting) => {
      const content = document.querySelector(".gradio-container");
      if (!content) return;
      waiting.disconnect();
      for (const element of [content, document.body]) sizes.observe(element);
    }).observe(document.body, { childList: true, subtree: true });
  }

  /** The values of a page's controls by name, with numbers in those named in `positions`; the latest are remembered for the links to other pages. */
  let latest = {};
  const named = (names, values, positions = []) => {
    const read = (name, value) => (positions.includes(name) ? place(value ?? "") : value);
    return (latest = Object.fromEntries(names.map((name, i) => [name, read(name, values[i])])));
  };

  /** The fields of a request; a method's options are named `method.option`. Empty values are left out. */
  function body(values) {
    const fields = {};
    const options = {};
    for (const [name, value] of Object.entries(values)) {
      const [method, option] = name.split(".");
      const empty = value === "" || value === null || value === undefined || (Array.isArray(value) && !value.length);
      if (option !== undefined) {
        if (method === values.method) options[option] = value;
      } else if (!empty) fields[name] = value;
    }
    return { ...fields, options };
  }

  /** `3`, `0, 2, 5` or `sequence` as the position of a request. */
  function place(written) {
    const parts = written.split(",").map((part) => part.trim()).filter(Boolean);
    const numbers = parts.every((part) => /^[0-9]+$/.test(part)) ? parts.map(Number) : null;
    return numbers?.length ? (numbers.length === 1 ? numbers[0] : numbers) : written.trim();
  }

  /** The address of what the page shows; `more` are words of the view in addition to those of the picture. */
  function link(values, more = []) {
    const { options, ...fields } = body(values);
    const address = here();
    for (const [name, value] of Object.entries({ ...fields, ...options })) address.searchParams.set(name, value);
    const drawn = [...more, ...drawnAs()];
    if (drawn.length) address.searchParams.set("view", drawn.join(","));
    if (query.get("lang")) address.searchParams.set("lang", query.get("lang"));
    return address.href;
  }

  function drawnAs() {
    const { view: kind, unit, specials } = document.querySelector(".attribution-picture")?.dataset ?? {};
    return [kind === "bars" && "bars", unit === "tokens" && "tokens", specials && "special"].filter(Boolean);
  }

  /** The target of a navigation link, with the text added. */
  function onward(href) {
    const address = new URL(href, base());
    for (const name of ["text", "second", "model"]) if (latest[name]) address.searchParams.set(name, latest[name]);
    if (query.get("lang")) address.searchParams.set("lang", query.get("lang"));
    return address.href;
  }

  function copyLink(values) {
    const address = link(values);
    // The address bar shows it too, so that the page can be reloaded and bookmarked.
    if (own) history.replaceState(history.state, "", address);
    return copied(address);
  }

  /** An iframe that grows with its content. Text stands in the address percent-encoded, so no quote can end the attribute. */
  function copyEmbed(values) {
    const address = link(values, ["embed"]).replace(/&/g, "&amp;").replace(/'/g, "%27");
    return copied(`<iframe src="${address}" title="Attribution" loading="lazy" style="width: 100%; height: 260px; border: 0"></iframe>
<script>
addEventListener("message", ({ data, source }) => {
  if (!(data?.attributionHeight > 0)) return;
  for (const frame of document.querySelectorAll("iframe")) if (frame.contentWindow === source) frame.style.height = data.attributionHeight + "px";
});
<\/script>
`);
  }

  /** The text is shown as well: an embedded page may not write to the clipboard. */
  function copied(text) {
    navigator.clipboard?.writeText(text).catch(() => {});
    return text;
  }

  /** A file of the server. */
  async function download(kind, values) {
    const answer = await ask(kind, values);
    if (answer.error) return answer.error;
    return save(answer.blob, answer.name);
  }

  /** The picture as PNG, drawn here with the visitor's fonts; where the browser refuses, the server draws it. */
  async function downloadPicture(values) {
    const answer = await ask("svg", values);
    if (answer.error) return answer.error;
    const drawn = await rasterized(answer.blob).catch(() => null);
    return drawn ? save(drawn, answer.name.replace(/svg$/, "png")) : download("png", values);
  }

  /** The evaluation that the server stores under a key of this page. */
  async function downloadEvaluation(kind, run) {
    const answer = await post(`api/evaluation/${kind}`, { run });
    return answer.error ?? save(answer.blob, answer.name);
  }

  const ask = (kind, values) => post(`api/export/${kind}`, body(values));

  async function post(path, content) {
    const answer = await fetch(new URL(path, base()), {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(content),
    });
    if (!answer.ok) {
      const { message, hint } = await answer.json();
      return { error: `${message} ${hint}` };
    }
    return { name: /filename="([^"]+)"/.exec(answer.headers.get("content-disposition"))[1], blob: await answer.blob() };
  }

  const SCALE = 2;

  async function rasterized(svg) {
    const address = URL.createObjectURL(svg);
    try {
      const image = new Image();
      image.src = address;
      await image.decode();
      const canvas = document.createElement("canvas");
      [canvas.width, canvas.height] = [image.naturalWidth * SCALE, image.naturalHeight * SCALE];
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      return await new Promise((done, failed) => canvas.toBlob((blob) => (blob ? done(blob) : failed()), "image/png"));
    } finally {
      URL.revokeObjectURL(address);
    }
  }

  function save(blob, name) {
    const file = document.createElement("a");
    file.href = URL.createObjectURL(blob);
    file.download = name;
    file.click();
    setTimeout(() => URL.revokeObjectURL(file.href), 10000);
    return AttributionWords.say("Saved {name}", { name });
  }

  return { base, own, view, named, body, link, onward, copyLink, copyEmbed, download, downloadEvaluation, downloadPicture };
})();
