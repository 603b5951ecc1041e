export { rgb } from "d3-color";
export { interpolateRgb, piecewise } from "d3-interpolate";
export { select } from "d3-selection";
