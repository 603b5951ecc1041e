/* The language of the page: ?lang= in the address, else the browser's. Gradio reads navigator.language, so it is told there too. */
globalThis.AttributionWords = (() => {
  const table = "TABLE";
  const known = ["en", "de", "nl", "es", "zh", "ar"];
  const asked = [new URLSearchParams(location.search).get("lang"), ...navigator.languages].filter(Boolean);
  const language = asked.map((name) => name.toLowerCase().split("-")[0]).find((name) => known.includes(name)) ?? "en";
  for (const [name, value] of [["language", language], ["languages", [language]]]) {
    Object.defineProperty(navigator, name, { get: () => value, configurable: true });
  }
  document.documentElement.lang = language;
  document.documentElement.dir = language === "ar" ? "rtl" : "ltr";

  /** `text` in the language of the page, with `{name}` replaced by the value of that name. */
  function say(text, values = {}) {
    const said = table[text]?.[language] ?? text;
    return said.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
  }
  return { language, say };
})();
