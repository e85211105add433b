"use strict";

// Play, pause, one step back or forward, and a slider; calls show(step) whenever the step changes.
class Player {
  constructor(root, show) {
    this.show = show;
    this.slider = root.querySelector("input");
    this.output = root.querySelector("output");
    this.button = root.querySelector(".play");
    this.timer = null;
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

  // A whole run takes about six seconds, however many steps it has.
  play() {
    this.go(this.step === this.last ? 0 : this.step);
    const stride = Math.max(1, Math.round(this.last / 150));
    this.timer = setInterval(
      () => {
        this.go(this.step + stride);
        if (this.step === this.last) this.pause();
      },
      Math.max(40, 6000 / this.last),
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
    const value = figure.root.querySelector(`button[data-name="${CSS.escape(name)}"] .value`);
    if (value) value.textContent = reading(whole.f[last]);
  }
}

function reading(value) {
  if (!Number.isFinite(value)) return "diverged";
  if (value === 0) return "0";
  const far = Math.abs(value) >= 1e4 || Math.abs(value) < 1e-3;
  const words = far ? value.toExponential(1) : value.toPrecision(3);
  return words.replaceAll("-", "−");
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
