/* Colours of the picture: orange is for, blue against, purple unsigned. The palettes are colour-blind safe. Orange and blue of
   the same size are equally light, so the direction also has a channel without colour (see heatmap.css). */
(() => {
  "use strict";
  const api = (globalThis.AttributionHeatmap ??= {});
  const { interpolateRgb, piecewise, rgb } = attributionD3;

  // The same stops as in ../drawing/colour.py, from 0 to the largest absolute score.
  const RAMPS = {
    for: {
      light: ["#f7f7f7", "#fee0b6", "#fdb863", "#e08214", "#b35806"],
      dark: ["#22262d", "#57391a", "#905812", "#d68420", "#fdc27a"],
    },
    against: {
      light: ["#f7f7f7", "#d1e5f0", "#92c5de", "#4393c3", "#2166ac"],
      dark: ["#22262d", "#25445c", "#2c6a99", "#4f9dce", "#9fd2f2"],
    },
    strength: {
      light: ["#f7f7f7", "#d8daeb", "#b2abd2", "#8073ac", "#542788"],
      dark: ["#22262d", "#3c3560", "#5f5197", "#8f80cb", "#cabff2"],
    },
  };
  const INKS = ["#1a1d23", "#ffffff", "#000000"];
  const STEPS = 64;
  const memo = new Map();

  /** Relative luminance and contrast ratio, as WCAG 2 defines them. */
  function luminance(colour) {
    const { r, g, b } = rgb(colour);
    const [R, G, B] = [r, g, b].map((c) => (c / 255 <= 0.04045 ? c / 255 / 12.92 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * R + 0.7152 * G + 0.0722 * B;
  }

  function contrast(first, second) {
    const [dim, bright] = [luminance(first), luminance(second)].sort((a, b) => a - b);
    return (bright + 0.05) / (dim + 0.05);
  }

  const shade = (ramp, size) => {
    const fill = rgb(piecewise(interpolateRgb, ramp)(size)).formatHex();
    return { fill, ink: INKS.find((ink) => contrast(fill, ink) >= 4.5) };
  };

  /** The CSS colours of a cell for both themes; `kind` is "for", "against" or "strength", `size` ranges from 0 to 1. */
  function colours(kind, size) {
    const step = Math.round(Math.min(Math.max(size, 0), 1) * STEPS);
    const key = `${kind} ${step}`;
    if (!memo.has(key)) {
      const [light, dark] = ["light", "dark"].map((theme) => shade(RAMPS[kind][theme], step / STEPS));
      memo.set(key, {
        fill: step ? `light-dark(${light.fill}, ${dark.fill})` : "transparent",
        ink: step ? `light-dark(${light.ink}, ${dark.ink})` : "inherit",
      });
    }
    return memo.get(key);
  }

  const kindOf = (score, signed) => (!signed ? "strength" : score < 0 ? "against" : "for");

  Object.assign(api, { RAMPS, colours, kindOf, contrast });
})();
