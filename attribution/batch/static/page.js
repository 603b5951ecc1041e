/* The page of a report file: mounts the document, and switches between light and dark. */
(() => {
  "use strict";
  AttributionReport.mount(document.getElementById("report")).draw(JSON.parse(document.getElementById("document").textContent));

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
