/* The language of the page: ?lang= in the address, else the browser's. Gradio reads navigator.language, which is overridden.
   Inside of another page, as <gradio-app>, it is the browser's, and that page is left alone. */
globalThis.AttributionWords = (() => {
  const table = "TABLE";
  const supported = ["en", "de", "nl", "es", "zh", "ar"];
  const own = globalThis.attributionPage === true;
  const preferred = [own && new URLSearchParams(location.search).get("lang"), ...navigator.languages].filter(Boolean);
  const language = preferred.map((name) => name.toLowerCase().split("-")[0]).find((name) => supported.includes(name)) ?? "en";
  if (own) {
    for (const [name, value] of [["language", language], ["languages", [language]]]) {
      Object.defineProperty(navigator, name, { get: () => value, configurable: true });
    }
    document.documentElement.lang = language;
    document.documentElement.dir = language === "ar" ? "rtl" : "ltr";
  }

  /** `text` in the language of the page, with `{name}` replaced by the value of that name. */
  function say(text, values = {}) {
    const translation = table[text]?.[language] ?? text;
    return translation.replace(/\{(\w+)\}/g, (placeholder, name) => (name in values ? values[name] : placeholder));
  }
  return { language, say };
})();
