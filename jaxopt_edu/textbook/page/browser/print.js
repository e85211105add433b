"use strict";

// On paper a figure is a drawing in vectors and in the light colours, whatever the screen shows.
{
  async function drawing(figure) {
    const drawn = (await figure.inLight(() => figure.view.export("svg"))).canvas;
    const { width, height } = figure.view.bbox;
    drawn.setAttribute("viewBox", `0 0 ${width} ${height}`);
    drawn.removeAttribute("width");
    drawn.removeAttribute("height");
    drawn.classList.add("printed");
    drawn.setAttribute("aria-hidden", "true");
    return drawn;
  }

  // A browser waits for promises, but neither for timers nor for frames, before it prints: drawing may take
  // none of the two.
  async function prepare() {
    await textbook.drawAll();
    for (const figure of textbook.figures.values()) {
      if (!figure.place.closest("#lab")) figure.place.after(await drawing(figure));
    }
  }

  addEventListener("beforeprint", prepare);
  addEventListener("afterprint", () => document.querySelectorAll(".printed").forEach((it) => it.remove()));
}
