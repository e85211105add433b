"use strict";

// Figures are drawn when they come near, in the colours of the reader's system, as wide as their place.
const textbook = { figures: new Map(), players: new Map() };

{
  const dark = JSON.parse(document.getElementById("dark").textContent);
  const darkness = matchMedia("(prefers-color-scheme: dark)");

  function exchanged(value) {
    if (typeof value === "string") return dark[value.toUpperCase()] ?? value;
    if (Array.isArray(value)) return value.map(exchanged);
    return { ...value, value: exchanged(value.value) };
  }

  // Everything in a plot that has one of our colours, with the colour it has on light paper.
  function coloured(document_) {
    const found = [];
    for (const model of document_.all_models) {
      for (const property of model) {
        const name = property.attr;
        if (!/color$|^palette$/.test(name)) continue;
        const value = model[name];
        const color = Array.isArray(value) ? value[0] : (value?.value ?? value);
        if (typeof color === "string" && color.toUpperCase() in dark) found.push([model, name, value]);
      }
    }
    return found;
  }

  function recolour(figure, dark = darkness.matches) {
    for (const [model, name, light] of figure.coloured) model[name] = dark ? exchanged(light) : light;
  }

  // Bokeh takes over new colours when it next can; what is to see them at once has to wait for that.
  async function inLight(figure, act) {
    if (!darkness.matches) return act();
    recolour(figure, false);
    for (const view of figure.view.renderer_views.values()) await view.set_visuals?.();
    const result = act();
    recolour(figure);
    return result;
  }

  function scaleMarks(figure, factor) {
    const scaled = (sizes) => Float32Array.from(sizes, (size) => size * factor);
    for (const [name, source] of Object.entries(figure.sources)) {
      if (/^(path|shown):/.test(name)) source.data = { ...source.data, size: scaled(source.data.size) };
    }
    for (const columns of figure.whole?.values() ?? []) columns.size = scaled(columns.size);
    for (const { glyph, data_source: source } of figure.plot.renderers) {
      if (source.name?.startsWith("head:")) glyph.size = { value: glyph.size.value * factor };
    }
  }

  // Maps keep the proportions of their window; charts give up the names at their ends where it is narrow.
  function fit(figure) {
    const narrow = figure.place.clientWidth < 520;
    if (narrow !== figure.narrow) {
      figure.narrow = narrow;
      for (const label of figure.ends) label.visible = !narrow && !figure.hidden.has(label.name);
      if (figure.ends.length) figure.plot.min_border_right = narrow ? 12 : figure.right;
      if (narrow || figure.smaller) scaleMarks(figure, narrow ? 0.65 : 1 / 0.65);
      figure.smaller = narrow;
    }
    const ratio = Number(figure.place.dataset.ratio);
    if (!ratio) return;
    const frame = figure.view.frame.bbox;
    const beside = figure.view.bbox.width - frame.width;
    const above = figure.view.bbox.height - frame.height;
    figure.plot.height = Math.round((figure.place.clientWidth - beside) * ratio + above);
  }

  async function draw(place) {
    const root = place.closest("figure");
    const item = JSON.parse(root.querySelector("script.item").textContent);
    // Bokeh's embed_item would do the same, but begin with a timer, for which printing does not wait.
    const plots = Bokeh.require("document").Document.from_json(item.doc);
    const manager = await Bokeh.embed.add_document_standalone(plots, place);
    const view = manager.roots[0];
    const plot = view.model;
    const figure = { root, place, view, plot, right: plot.min_border_right, sources: {}, hidden: new Set() };
    for (const model of plot.document.all_models) {
      if (model.type === "ColumnDataSource" && model.name) figure.sources[model.name] = model;
    }
    figure.ends = plot.renderers.filter((renderer) => renderer.tags.includes("end"));
    figure.coloured = coloured(plot.document);
    figure.inLight = (act) => inLight(figure, act);
    textbook.figures.set(root.id, figure);
    recolour(figure);
    fit(figure);
    new ResizeObserver(() => fit(figure)).observe(place);
    for (const button of root.querySelectorAll(".key button")) {
      button.addEventListener("click", () => {
        const visible = button.getAttribute("aria-pressed") !== "true";
        button.setAttribute("aria-pressed", String(visible));
        figure.hidden[visible ? "delete" : "add"](button.dataset.name);
        for (const renderer of plot.renderers) {
          if (renderer.name !== button.dataset.name) continue;
          renderer.visible = visible && !(figure.narrow && renderer.tags.includes("end"));
        }
      });
    }
    root.dispatchEvent(new CustomEvent("drawn", { detail: figure }));
    root.dataset.drawn = "";
  }

  const waiting = new Set(document.querySelectorAll(".plot"));
  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) if (entry.isIntersecting) start(entry.target);
    },
    { rootMargin: "800px 0px" },
  );
  function start(place) {
    near.unobserve(place);
    return waiting.delete(place) ? draw(place) : Promise.resolve();
  }
  for (const place of waiting) near.observe(place);
  textbook.fit = fit;
  textbook.start = start;
  textbook.drawAll = () => Promise.all([...waiting].map(start));
  darkness.addEventListener("change", () => textbook.figures.forEach((figure) => recolour(figure)));

  // What is wider than its place says so. Only another width asks again: the words themselves change the height.
  const widths = new Map();
  const cut = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      if (widths.get(target) === target.clientWidth) continue;
      widths.set(target, target.clientWidth);
      target.classList.toggle("cut", target.scrollWidth > target.clientWidth + 1);
    }
  });
  for (const wide of document.querySelectorAll(".scroll, pre.code")) cut.observe(wide);

  // The contents: open beside the text, folded above it, and showing where the reader is.
  const contents = document.querySelector(".contents details");
  const wide = matchMedia("(min-width: 69rem)");
  const unfold = () => (contents.open = wide.matches);
  wide.addEventListener("change", unfold);
  contents.addEventListener("click", (event) => {
    if (event.target.closest("a") && !wide.matches) contents.open = false;
  });
  const links = new Map([...contents.querySelectorAll("a")].map((link) => [link.hash.slice(1), link]));
  const reading = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        const link = links.get(entry.target.id);
        if (entry.isIntersecting) link.setAttribute("aria-current", "true");
        else link.removeAttribute("aria-current");
      }
    },
    { rootMargin: "-45% 0px -55% 0px" },
  );
  for (const id of links.keys()) reading.observe(document.getElementById(id));
}
