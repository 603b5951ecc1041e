/* The page around the picture in an exported file: mounts the picture, and switches between light and dark. */
(() => {
  "use strict";
  const data = JSON.parse(document.getElementById("attribution").textContent);
  AttributionHeatmap.mount(document.getElementById("picture")).draw(data);

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
