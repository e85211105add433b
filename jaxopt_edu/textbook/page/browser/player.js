"use strict";

// Play, pause, one step back or forward, and a slider; calls show(step) whenever the step changes.
class Player {
  constructor(root, show) {
    this.show = show;
    this.slider = root.querySelector("input");
    this.output = root.querySelector("output");
    this.button = root.querySelector(".play");
    this.timer = null;
    this.speed = root.querySelector(".speed select");
    this.speed.addEventListener("change", () => this.timer && this.play());
    this.slider.addEventListener("input", () => {
      this.pause();
      this.go(this.slider.valueAsNumber);
    });
    root.querySelector(".back").addEventListener("click", () => this.move(-1));
    root.querySelector(".forward").addEventListener("click", () => this.move(1));
    this.button.addEventListener("click", () => (this.timer ? this.pause() : this.play()));
    document.addEventListener("visibilitychange", () => document.hidden && this.pause());
    matchMedia("(prefers-reduced-motion: reduce)").addEventListener("change", () => this.pause());
  }

  get step() {
    return this.slider.valueAsNumber;
  }

  get last() {
    return Number(this.slider.max);
  }

  go(step) {
    this.slider.value = String(step);
    const words = `step ${this.step} of ${this.last}`;
    this.output.value = words;
    this.slider.setAttribute("aria-valuetext", words);
    this.show(this.step);
  }

  move(steps) {
    this.pause();
    this.go(this.step + steps);
  }

  // At normal speed a whole run takes about six seconds, however many steps it has.
  play() {
    clearInterval(this.timer);
    this.go(this.step === this.last ? 0 : this.step);
    const seconds = 6 / Number(this.speed.value);
    const stride = Math.max(1, Math.round(this.last / (25 * seconds)));
    this.timer = setInterval(
      () => {
        this.go(this.step + stride);
        if (this.step === this.last) this.pause();
      },
      Math.max(40, (1000 * seconds * stride) / this.last),
    );
    this.button.textContent = "Pause";
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.button.textContent = "Play";
  }
}

// Cuts the paths of a drawn figure off at a step.
function showPaths(figure, step) {
  for (const [name, whole] of figure.whole) {
    const last = Math.min(step, whole.x.length - 1);
    const upTo = {};
    const only = {};
    for (const [column, values] of Object.entries(whole)) {
      upTo[column] = values.subarray(0, last + 1);
      only[column] = values.subarray(last, last + 1);
    }
    figure.sources[`shown:${name}`].data = upTo;
    figure.sources[`head:${name}`].data = only;
    follow(figure, name, only, last === whole.x.length - 1);
    const value = figure.root.querySelector(`button[data-name="${CSS.escape(name)}"] .value`);
    if (value) value.textContent = reading(whole.f[last]);
  }
}

// At the end a name stands where it hides the least; before, above its marker.
function follow(figure, name, { x, y }, atTheEnd) {
  const label = figure.ends.find((renderer) => renderer.name === name);
  if (!label) return;
  label.place ??= { ...label.data_source.data };
  const place = atTheEnd ? label.place : { x: [x[0]], y: [y[0]] };
  label.data_source.data = { ...label.place, ...place };
  label.glyph.y_offset = { value: atTheEnd ? 0 : -16 };
}

const RAISED = { "-": "⁻", ...Object.fromEntries([..."⁰¹²³⁴⁵⁶⁷⁸⁹"].entries()) };

// A number in the page's style, as numerals.py writes them.
function reading(value) {
  if (!Number.isFinite(value)) return "diverged";
  if (value === 0) return "0";
  const far = Math.abs(value) >= 1e4 || Math.abs(value) < 1e-3;
  if (!far) return value.toPrecision(3).replace("-", "−");
  const [mantissa, exponent] = value.toExponential(1).split("e");
  const raised = [...String(Number(exponent))].map((digit) => RAISED[digit]).join("");
  return `${mantissa.replace("-", "−")} · 10${raised}`;
}

for (const root of document.querySelectorAll(".figure:has(.player)")) {
  root.addEventListener("drawn", ({ detail: figure }) => {
    figure.whole = new Map();
    for (const [name, source] of Object.entries(figure.sources)) {
      if (!name.startsWith("path:")) continue;
      // Plain arrays: Bokeh's own cannot be cut.
      const columns = Object.entries(source.data).map(([column, values]) => [column, new Float32Array(values)]);
      figure.whole.set(name.slice(5), Object.fromEntries(columns));
    }
    const player = new Player(root.querySelector(".player"), (step) => showPaths(figure, step));
    textbook.players.set(root.id, player);
    player.go(player.last);
  });
}
