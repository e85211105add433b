"use strict";

// What `packing.pack` made: gzip, the bytes sorted by significance, each number relative to the one before.
async function unpack(text, length) {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const count = planes.length / 4;
  const bits = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    const change =
      planes[i] | (planes[count + i] << 8) | (planes[2 * count + i] << 16) | (planes[3 * count + i] << 24);
    bits[i] = i % length ? bits[i - 1] ^ change : change;
  }
  return new Float32Array(bits.buffer);
}

// The lab looks up what was computed: no optimizer is written in JavaScript.
class Lab {
  constructor(section, map, losses) {
    this.section = section;
    this.map = map;
    this.losses = losses;
    this.choices = JSON.parse(document.getElementById("lab-choices").textContent);
    this.form = section.querySelector("form");
    this.rows = new Map([...section.querySelectorAll("tr[data-name]")].map((row) => [row.dataset.name, row]));
    this.surfaces = new Map();
    this.player = textbook.players.get("lab-map");
    this.player.show = (step) => this.showStep(step);
    this.form.addEventListener("submit", (event) => event.preventDefault());
    for (const name of ["surface", "start", "angle", "noise"]) {
      this.form[name].addEventListener("change", () => this.choose({ best: true }));
    }
    for (const name of ["momentum", "decay"]) {
      this.form[name].addEventListener("input", () => this.choose({}));
    }
    this.form.rate.addEventListener("input", () => {
      for (const row of this.rows.values()) row.querySelector("input").value = this.form.rate.value;
      this.choose({});
    });
    this.form.querySelector(".best").addEventListener("click", () => this.choose({ best: true }));
    this.form.querySelector(".defaults").addEventListener("click", () => this.chooseDefaults());
    for (const row of this.rows.values()) {
      row.querySelector("input").addEventListener("input", () => this.choose({}));
    }
    for (const button of map.root.querySelectorAll(".key button")) {
      button.addEventListener("click", () => this.hide());
    }
  }

  // One surface's runs and contours, unpacked when they are first wanted.
  surface(name) {
    if (!this.surfaces.has(name)) this.surfaces.set(name, this.read(name));
    return this.surfaces.get(name);
  }

  async read(name) {
    const chunk = JSON.parse(document.getElementById(`lab-${name}`).textContent);
    const runs = {};
    for (const [method, text] of Object.entries(chunk.runs)) {
      runs[method] = await unpack(text, this.choices.steps + 1);
    }
    const grounds = [];
    for (const ground of chunk.grounds) {
      const lines = await unpack(ground.lines, ground.points);
      grounds.push({
        ...ground,
        shades: await unpack(ground.shades, chunk.side),
        lines: { x: lines.subarray(0, ground.points), y: lines.subarray(ground.points) },
      });
    }
    return { ...chunk, runs, grounds };
  }

  // Which of the method's decays the slider means: at its left end, the method's default.
  decayOf(method) {
    const place = this.form.decay.valueAsNumber;
    return place ? method.decays.indexOf(this.choices.decays[place - 1]) : method.defaults.decay;
  }

  // The columns of one run: x, y, f and what the method remembers.
  run(surface, method, rate) {
    const { steps, momenta, rates, shape } = this.choices;
    const channels = 3 + 2 * method.remembers.length;
    let setting = rate;
    if (method.momentum) setting = setting * momenta.length + this.form.momentum.valueAsNumber;
    if (method.decay) setting = setting * method.decays.length + this.decayOf(method);
    const settings =
      rates.length * (method.momentum ? momenta.length : 1) * (method.decay ? method.decays.length : 1);
    const { start, angle, noise } = this.form;
    const situation = (Number(start.value) * shape[1] + Number(angle.value)) * shape[2] + Number(noise.value);
    const begin = (situation * settings + setting) * channels * (steps + 1);
    return Array.from({ length: channels }, (_, channel) => {
      const at = begin + channel * (steps + 1);
      return surface.runs[method.name].subarray(at, at + steps + 1);
    });
  }

  // The learning rate with the lowest last value, of those that keep to the window if there are any; on a
  // saddle that would be the one that diverges the fastest.
  best(surface, method) {
    if (!surface.log) return this.form.rate.valueAsNumber;
    const tried = this.choices.rates.map((_, rate) => {
      const [x, y, f] = this.run(surface, method, rate);
      const last = f.at(-1);
      return { rate, last: Number.isFinite(last) ? last : Infinity, stays: this.stays([x, y], surface.domain) };
    });
    const kept = tried.some(({ stays }) => stays) ? tried.filter(({ stays }) => stays) : tried;
    return kept.reduce((best, other) => (other.last < best.last ? other : best)).rate;
  }

  stays(path, domain) {
    return path.every((values, axis) => {
      const [low, high] = domain[axis];
      return values.every((value) => low <= value && value <= high);
    });
  }

  chooseDefaults() {
    this.form.momentum.value = this.form.momentum.defaultValue;
    this.form.decay.value = "0";
    for (const { name, defaults } of this.choices.methods) {
      this.rows.get(name).querySelector("input").value = String(defaults.rate);
    }
    this.choose({});
  }

  async choose({ best = false }) {
    this.player.pause();
    const name = this.form.surface.value;
    const surface = await this.surface(name);
    if (name !== this.form.surface.value) return; // another was chosen meanwhile
    if (surface !== this.current) this.enter(surface);
    this.shown = new Map();
    for (const method of this.choices.methods) {
      const slider = this.rows.get(method.name).querySelector("input");
      if (best) slider.value = String(this.best(surface, method));
      const run = this.run(surface, method, slider.valueAsNumber);
      this.shown.set(method.name, run);
      const [x, y] = this.withinReach(run, surface.domain);
      this.map.whole.set(method.name, { ...this.map.whole.get(method.name), x, y, f: run[2] });
      this.map.sources[`path:${method.name}`].data = this.map.whole.get(method.name);
      this.say(slider, this.choices.rates);
      this.rows.get(method.name).querySelector(".others").textContent = this.others(method);
    }
    this.say(this.form.momentum, this.choices.momenta);
    this.say(this.form.decay, ["each its default", ...this.choices.decays]);
    this.sayRateOfAll();
    this.drawGround(surface);
    this.drawLosses(surface);
    this.hide();
    const ends = this.choices.methods.map(({ name }) => `${name} ${reading(this.shown.get(name)[2].at(-1))}`);
    const alt = `over the contours of f = ${surface.formula}; f after ${this.player.last} steps: ${ends.join(", ")}.`;
    this.map.place.setAttribute("aria-label", `Paths of the methods ${alt}`);
    this.player.go(this.player.step);
    this.section.dataset.ready = String(Number(this.section.dataset.ready ?? 0) + 1);
  }

  // As in paths.py: what is too far away for a browser to draw dashes on the way to it is left out.
  withinReach([x, y], domain) {
    const away = (value, [low, high]) => Math.abs(value - (low + high) / 2) / (high - low);
    const near = (_, i) => Math.max(away(x[i], domain[0]), away(y[i], domain[1])) <= this.choices.reach;
    return [x, y].map((values) => values.map((value, i) => (near(value, i) ? value : NaN)));
  }

  say(slider, values) {
    const words = String(values[slider.valueAsNumber]);
    slider.nextElementSibling.value = words;
    slider.setAttribute("aria-valuetext", words);
  }

  // One number where all have the same.
  sayRateOfAll() {
    const rates = new Set([...this.rows.values()].map((row) => row.querySelector("input").value));
    if (rates.size === 1) [this.form.rate.value] = rates;
    const each = () => "each its own";
    this.say(this.form.rate, rates.size === 1 ? this.choices.rates : this.choices.rates.map(each));
  }

  others(method) {
    const chosen = [];
    if (method.momentum) chosen.push([method.momentum, this.choices.momenta[this.form.momentum.valueAsNumber]]);
    if (method.decay) chosen.push([method.decay, method.decays[this.decayOf(method)]]);
    return [...chosen.map(([symbol, value]) => `${symbol} = ${value}`), ...method.fixed].join(", ") || "none";
  }

  enter(surface) {
    this.current = surface;
    this.form.start.replaceChildren(
      ...surface.starts.map((point, which) => new Option(`(${point.join(", ").replaceAll("-", "−")})`, which)),
    );
    this.form.querySelector(".best").disabled = !surface.log;
    const [x, y] = surface.domain;
    const { plot, place } = this.map;
    [plot.x_range.start, plot.x_range.end] = x;
    [plot.y_range.start, plot.y_range.end] = y;
    place.dataset.ratio = String((y[1] - y[0]) / (x[1] - x[0]));
    this.map.root.style.setProperty("--widest", `${Math.min(900, 560 / place.dataset.ratio + 80)}px`);
    textbook.fit(this.map);
    for (const [scale, figure] of Object.entries(this.losses)) {
      figure.root.hidden = (scale === "log") !== surface.log;
    }
  }

  drawGround(surface) {
    const { sources } = this.map;
    const ground = surface.grounds[Number(this.form.angle.value)];
    const { shades } = sources;
    shades.data.image[0].set(ground.shades);
    for (const [name, value] of Object.entries(surface.image)) shades.data[name] = [value];
    shades.change.emit();
    sources.contours.data = ground.lines;
    const column = (points, axis) => points.map((point) => point[axis]);
    sources.minima.data = { x: column(ground.minima, 0), y: column(ground.minima, 1) };
    const first = this.shown.get(this.choices.methods[0].name);
    sources.start.data = { x: [first[0][0]], y: [first[1][0]] };
    this.map.root.querySelector("figcaption").textContent =
      `f = ${surface.formula}. ○ start${ground.minima.length ? ", ☆ minimum" : ""}. ${ground.note}`;
  }

  drawLosses(surface) {
    const figure = this.losses[surface.log ? "log" : "linear"];
    const first = this.shown.get(this.choices.methods[0].name)[2][0];
    const every = Array.from({ length: this.choices.steps + 1 }, (_, step) => step);
    const some = every.filter((step) => step % 4 === 0);
    let low = Infinity;
    for (const [name, [, , f]] of this.shown) {
      const y = surface.log ? f : f.map((value) => (value > this.choices.reach * surface.low ? value : NaN));
      figure.sources[`line:${name}`].data = { x: every, y };
      figure.sources[`marks:${name}`].data = { x: some, y: some.map((step) => y[step]) };
      for (const value of f) if (value > 0 && value < low) low = value;
    }
    const range = figure.plot.y_range;
    if (surface.log) [range.start, range.end] = [Math.max(low, first * 1e-9) / 2, first * 8];
    else [range.start, range.end] = [surface.low, first + 0.3 * (first - surface.low)];
  }

  hide() {
    for (const button of this.map.root.querySelectorAll(".key button")) {
      const visible = button.getAttribute("aria-pressed") === "true";
      const { name } = button.dataset;
      this.rows.get(name).hidden = !visible;
      for (const { plot } of Object.values(this.losses)) {
        for (const renderer of plot.renderers) if (renderer.name === name) renderer.visible = visible;
      }
    }
  }

  showStep(step) {
    showPaths(this.map, step);
    for (const method of this.choices.methods) {
      const [x, y, f, ...state] = this.shown.get(method.name);
      const row = this.rows.get(method.name);
      row.querySelector(".value").textContent = reading(f[step]);
      row.querySelector(".place").textContent = `(${reading(x[step])}, ${reading(y[step])})`;
      row.querySelector(".memory").textContent =
        method.remembers
          .map((name, i) => `${name} = (${reading(state[2 * i][step])}, ${reading(state[2 * i + 1][step])})`)
          .join(", ") || "nothing";
    }
    for (const { now } of Object.values(this.losses)) now.location = step;
    this.section.querySelector("table.state caption").textContent = `After step ${step} of ${this.player.last}`;
  }
}

{
  const section = document.getElementById("lab");
  const drawn = new Map();
  for (const root of section?.querySelectorAll(".figure") ?? []) {
    root.addEventListener("drawn", ({ detail: figure }) => {
      drawn.set(root.id, figure);
      // One of the two charts is hidden, and comes near no reader.
      for (const place of section.querySelectorAll(".plot")) textbook.start(place);
      if (drawn.size < 3) return;
      const losses = { log: drawn.get("lab-losses-log"), linear: drawn.get("lab-losses-linear") };
      for (const loss of Object.values(losses)) {
        loss.now = [...loss.plot.document.all_models].find((model) => model.name === "now");
      }
      textbook.lab = new Lab(section, drawn.get("lab-map"), losses);
      textbook.lab.choose({ best: true });
    });
  }
}
