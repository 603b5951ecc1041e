/* The heatmap as a component of the page: its value and events are described in components/pictures/heatmap.py. */
globalThis.AttributionPicture = {
  mount: (element, { trigger, props }) =>
    AttributionHeatmap.mount(element, {
      source: props.source || null,
      secondSource: props.second_source || null,
      view: globalThis.AttributionAddress?.view() ?? [],
      onSelectOutput: (row) => trigger("select", { output: row, index: row, value: row }),
      onStrike: props.strikes ? (spans) => trigger("strike", { spans }) : null,
    }),
};
