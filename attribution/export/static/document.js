/* The page of an exported file: mounts the picture, and switches between results and between light and dark. */
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("attribution").textContent);
  const results = data.attributions ?? [data];
  const picture = AttributionHeatmap.mount(document.getElementById("picture"));
  const facts = document.querySelectorAll("article");

  /** Show one result: its picture and its facts. */
  function show(place) {
    picture.draw(results[place]);
    facts.forEach((article, index) => (article.hidden = index !== place));
  }

  const choices = document.getElementById("results");
  if (choices) {
    choices.hidden = false;
    choices.addEventListener("change", (event) => show(Number(event.target.value)));
  }
  show(0);

  const page = document.documentElement;
  const button = document.getElementById("theme");
  const dark = () => (page.dataset.theme ? page.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches);
  const label = () => (button.textContent = dark() ? "Light" : "Dark");
  button.hidden = false;
  button.addEventListener("click", () => {
    page.dataset.theme = dark() ? "light" : "dark";
    label();
  });
  label();
})();
