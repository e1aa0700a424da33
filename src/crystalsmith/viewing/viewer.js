// The viewer of crystals of pages, reports and notebooks: `show(element, scene, options)`.
//
// Mouse and touch rotate, the wheel and two fingers zoom, shift or the right button moves; arrow keys, + and -
// do the same, 0 resets. A click on two atoms tells their distance, on three the angle at the second. Colours
// follow the page.

import { Drawing, Matrix4, Quaternion, Vector3 } from "./drawing.js";
import { LOOK, markPicked, writeAxes, writeLabels } from "./marks.js";

const HELP = "Drag or arrow keys rotate, plus and minus zoom, shift with them moves, zero resets.";
const SUPERCELLS = [[1, 1, 1], [2, 2, 2], [3, 3, 3]];
const STYLE = { supercell: [1, 1, 1], bonds: true, polyhedra: false, cell: true, axes: true, labels: false };
const ZOOMS = [0.25, 12];
const SLOW = 90; // milliseconds from picture to picture

const make = (tag, props = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), props);
  made.append(...children);
  return made;
};

/** Draw a scene of `crystalsmith.viewing.scene` into an element. Throws where the browser has no WebGL. */
export function show(element, scene, options = {}) {
  return new View(element, scene, options);
}

class View {
  constructor(element, scene, options) {
    this.options = { controls: true, legend: true, fps: 12, ...options };
    this.style = { ...STYLE, ...options.style };
    this.drawing = new Drawing();
    this.host = make("div");
    if (options.height) this.host.style.height = `${options.height}px`;
    this.root = this.host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(LOOK);
    this.root.adoptedStyleSheets = [sheet];
    this.canvas = make("canvas", { tabIndex: 0 });
    this.canvas.setAttribute("role", "img");
    this.legend = make("ul", { hidden: !this.options.legend });
    this.tip = make("div", { className: "tip", hidden: true });
    this.measure = make("output", { className: "measure" });
    this.picked = [];
    this.root.append(make("div", { className: "stage" }, this.canvas, this.measure, this.tip), this.legend);
    element.append(this.host);
    this.host.view = this;
    this.ends = new AbortController();
    this.frames = null;
    this.isVisible = false;
    this.take(scene);
    this.reset();
    if (this.options.controls) this.addBar();
    this.listen();
  }

  // What is shown

  take(scene, keepSize = false) {
    this.scene = scene;
    this.isStale = true;
    this.keepSize = keepSize && this.isFilled;
    this.pick(null);
    const group = scene.group ? `, ${scene.group}` : "";
    this.canvas.setAttribute("aria-label", `Crystal structure of ${scene.formula}${group}. ${HELP}`);
    const names = Object.entries(scene.elements);
    this.legend.replaceChildren(
      ...names.map(([name, { color }]) => {
        const dot = make("i");
        dot.style.background = color;
        return make("li", {}, dot, name);
      }),
    );
    this.draw();
  }

  /** Show another scene; the camera stays unless told otherwise. */
  update(scene, { keepCamera = true } = {}) {
    this.pause();
    this.frames = null;
    this.film?.remove();
    this.film = null;
    this.take(scene);
    this.showStyle?.();
    if (!keepCamera) this.reset();
  }

  setStyle(changes) {
    this.style = { ...this.style, ...changes };
    this.isStale = true;
    this.keepSize = false;
    this.pick(null);
    this.showStyle?.();
    this.draw();
  }

  // The camera

  startTurn() {
    const view = this.scene.view ?? [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
    const [x, y, z] = [0, 1, 2].map((k) => new Vector3(view[0][k], view[1][k], view[2][k]));
    const matrix = new Matrix4().makeBasis(x, y, z).transpose();
    return new Quaternion().setFromRotationMatrix(matrix);
  }

  reset() {
    this.turn = this.startTurn();
    this.zoom = 1;
    this.shift = [0, 0];
    this.moved();
  }

  camera() {
    return { turn: this.turn.toArray(), zoom: this.zoom, shift: [...this.shift] };
  }

  setCamera({ turn, zoom, shift }) {
    this.turn = new Quaternion(...turn).normalize();
    this.zoom = Math.min(Math.max(zoom, ZOOMS[0]), ZOOMS[1]);
    this.shift = [...shift];
    this.draw();
  }

  moved() {
    this.draw();
    this.options.onCamera?.(this.camera());
  }

  rotate(right, up) {
    const length = Math.hypot(right, up);
    if (!length) return;
    const axis = new Vector3(-up / length, right / length, 0);
    this.turn.premultiply(new Quaternion().setFromAxisAngle(axis, length)).normalize();
    this.moved();
  }

  zoomBy(factor) {
    this.zoom = Math.min(Math.max(this.zoom * factor, ZOOMS[0]), ZOOMS[1]);
    this.moved();
  }

  moveBy(right, up) {
    this.shift = [this.shift[0] + right / this.zoom, this.shift[1] + up / this.zoom];
    this.moved();
  }

  // Painting: when something changed and the canvas can be seen

  draw() {
    if (this.waiting || !this.isVisible) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.paint();
    });
  }

  colors() {
    const style = getComputedStyle(this.host.parentElement ?? document.body);
    const isDark = matchMedia("(prefers-color-scheme: dark)").matches;
    const read = (name, other) => style.getPropertyValue(name).trim() || other;
    const back = backgroundOf(this.host);
    const dark = back ? brightness(back) < 0.4 : isDark;
    return {
      paper: read("--paper", back ?? (dark ? "#16181d" : "#ffffff")),
      ink: read("--ink", dark ? "#e4e6eb" : "#22252b"),
      quiet: read("--quiet", dark ? "#a2a9b8" : "#5a6070"),
      line: read("--line", dark ? "#3a3f4a" : "#d5d8de"),
      accent: read("--accent", dark ? "#86b2e6" : "#3b6ea8"),
    };
  }

  paint() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (!width || !height || this.isGone) return;
    const ratio = this.sharpness();
    const size = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== size[0] || this.canvas.height !== size[1]) {
      [this.canvas.width, this.canvas.height] = size;
    }
    if (this.isStale) {
      this.drawing.fill(this.scene, this.style, this.keepSize);
      this.isStale = false;
      this.isFilled = true;
    }
    const colors = this.colors();
    for (const name of ["paper", "ink", "line", "accent"]) {
      this.host.style.setProperty(`--viewer-${name}`, colors[name]);
    }
    const { turn, zoom, shift } = this;
    const bars = [this.options.controls ? 26 : 0, 0, (this.options.legend ? 20 : 0) + (this.film ? 28 : 0), 0];
    const free = bars.map((room) => room * ratio);
    const look = { turn, zoom, shift, free, paper: colors.paper, line: colors.quiet };
    this.drawing.paint(this.canvas, look);
    const pen = this.canvas.getContext("2d");
    if (this.style.axes && this.style.cell) writeAxes(pen, this.drawing, colors, ratio);
    if (this.style.labels) writeLabels(pen, this.drawing, colors, ratio, ({ index }) => this.scene.atoms[index].label);
    if (this.picked.length) markPicked(pen, this.drawing, this.picked, colors, ratio);
    this.host.dataset.painted = String(Number(this.host.dataset.painted ?? 0) + 1);
  }

  // Pixels of the canvas to one of the page: fewer while it moves where the machine cannot keep up.
  sharpness() {
    const now = performance.now();
    const pause = now - (this.lastPaint ?? -Infinity);
    this.lastPaint = now;
    if (pause < 700) this.pace = 0.6 * (this.pace ?? 16) + 0.4 * pause;
    clearTimeout(this.sharpening);
    const full = Math.min(globalThis.devicePixelRatio || 1, 2);
    const isHurried = pause < 700 && this.pace > SLOW && !this.isResting;
    this.isResting = false;
    if (!isHurried) return full;
    this.sharpening = setTimeout(() => {
      this.isResting = true;
      this.draw();
    }, 250);
    return 0.5 * full;
  }

  // Up to three atoms that were clicked; null forgets them.
  pick(atom) {
    if (!atom && !this.picked.length) return;
    this.picked = !atom || this.picked.length === 3 ? [] : this.picked;
    if (atom) this.picked = [...this.picked, atom];
    const names = this.picked.map(({ index }) => this.scene.atoms[index].label).join(" – ");
    const [a, b, c] = this.picked.map(({ at }) => at);
    const words = { 2: () => `${a.distanceTo(b).toFixed(3)} Å`, 3: () => `${angle(a, b, c).toFixed(1)}°` };
    this.measure.value = [names, words[this.picked.length]?.() ?? ""].join(" ").trim();
    this.draw();
  }

  // Films

  /** Play scenes one after the other; a bar lets the reader stop and go through them. */
  play(frames, { fps = this.options.fps, loop = true, text = null } = {}) {
    if (!frames?.length) return;
    this.frames = frames;
    Object.assign(this, { fps, loop, frameText: text });
    if (!this.film) this.addFilm();
    this.slider.max = String(frames.length - 1);
    this.showStyle?.();
    this.drawing.fill(this.sceneOf(frames.length - 1), this.style);
    this.isFilled = true;
    this.seek(0);
    this.resume();
  }

  seek(k) {
    if (!this.frames) return;
    this.frame = Math.min(Math.max(Math.round(k), 0), this.frames.length - 1);
    this.take(this.sceneOf(this.frame), true);
    if (!this.slider) return;
    this.slider.value = String(this.frame);
    const words = this.frameText?.(this.frame) ?? this.frames[this.frame].text ?? `${this.frame + 1} of ${this.frames.length}`;
    this.step.value = words;
    this.slider.setAttribute("aria-valuetext", words);
  }

  // Frames after the first one hold what differs from it.
  sceneOf(k) {
    return { ...this.frames[0], ...this.frames[k] };
  }

  resume() {
    this.pause();
    this.playing = setInterval(() => {
      if (!this.isVisible) return;
      const isLast = this.frame === this.frames.length - 1;
      if (isLast && !this.loop) return this.pause();
      this.seek(isLast ? 0 : this.frame + 1);
    }, 1000 / this.fps);
    this.showPlaying();
  }

  pause() {
    clearInterval(this.playing);
    this.playing = 0;
    this.showPlaying();
  }

  showPlaying() {
    if (!this.film) return;
    this.toggle.textContent = this.playing ? "❚❚" : "►";
    this.toggle.setAttribute("aria-label", this.playing ? "Pause" : "Play");
  }

  addFilm() {
    this.toggle = make("button", { type: "button", onclick: () => (this.playing ? this.pause() : this.resume()) });
    this.slider = make("input", { type: "range", min: "0", value: "0" });
    this.slider.setAttribute("aria-label", "Step");
    this.slider.oninput = () => {
      this.pause();
      this.seek(Number(this.slider.value));
    };
    this.step = make("output");
    this.film = make("div", { className: "film" }, this.toggle, this.slider, this.step);
    this.root.insertBefore(this.film, this.legend);
  }

  // Controls

  addBar() {
    const bar = make("div", { className: "bar" });
    bar.setAttribute("role", "toolbar");
    bar.setAttribute("aria-label", "View");
    const toggles = [];
    const add = (text, title, run) => {
      const button = make("button", { type: "button", textContent: text, title, onclick: run });
      button.setAttribute("aria-label", title);
      bar.append(button);
      return button;
    };
    const toggle = (text, title, name) => {
      const button = add(text, title, () => this.setStyle({ [name]: !this.style[name] }));
      toggles.push([button, name]);
      return button;
    };
    const size = add("", "Supercell", () => {
      const place = SUPERCELLS.findIndex((cell) => cell.join() === this.style.supercell.join());
      this.setStyle({ supercell: SUPERCELLS[(place + 1) % SUPERCELLS.length] });
    });
    this.solids = toggle("◆", "Polyhedra", "polyhedra");
    toggle("╱", "Bonds", "bonds");
    toggle("Aa", "Names of the sites", "labels");
    add("↺", "Reset the view", () => this.reset());
    this.showStyle = () => {
      for (const [button, name] of toggles) button.setAttribute("aria-pressed", String(Boolean(this.style[name])));
      size.textContent = this.style.supercell.join("×");
      this.solids.hidden = ![this.scene, ...(this.frames ?? [])].some((scene) => scene.polyhedra?.length);
    };
    this.showStyle();
    this.root.append(bar);
  }

  listen() {
    const { canvas } = this;
    const on = (target, name, run, more = {}) =>
      target.addEventListener(name, run, { signal: this.ends.signal, ...more });
    const fingers = new Map();
    on(canvas, "pointerdown", (event) => {
      canvas.focus({ preventScroll: true });
      canvas.setPointerCapture(event.pointerId);
      fingers.set(event.pointerId, [event.clientX, event.clientY]);
      this.pressed = [event.clientX, event.clientY];
      this.tip.hidden = true;
    });
    on(canvas, "click", (event) => {
      const [x, y] = this.pressed ?? [event.clientX, event.clientY];
      if (Math.hypot(event.clientX - x, event.clientY - y) < 4) this.pick(this.atomAt(event)?.atom ?? null);
    });
    on(canvas, "pointermove", (event) => this.onMove(event, fingers));
    for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
      on(canvas, name, (event) => fingers.delete(event.pointerId));
    }
    on(canvas, "pointerleave", () => (this.tip.hidden = true));
    on(canvas, "contextmenu", (event) => event.preventDefault());
    on(canvas, "dblclick", () => this.reset());
    on(canvas, "keydown", (event) => this.onKey(event));
    const isActive = () => this.root.activeElement === canvas;
    // Only once it was clicked: else a page could not be scrolled past a viewer.
    on(canvas, "wheel", (event) => {
      if (!event.ctrlKey && !isActive()) return;
      event.preventDefault();
      this.zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)));
    }, { passive: false });
    on(matchMedia("(prefers-color-scheme: dark)"), "change", () => this.draw());
    on(this.drawing.stage.canvas, "webglcontextrestored", () => {
      this.isStale = true;
      this.draw();
    });
    this.watchers = [
      new ResizeObserver(() => this.draw()),
      new IntersectionObserver(([entry]) => {
        this.isVisible = entry.isIntersecting;
        this.draw();
      }, { rootMargin: "200px" }),
      new MutationObserver(() => this.draw()),
    ];
    this.watchers[0].observe(canvas);
    this.watchers[1].observe(this.host);
    for (const page of [document.documentElement, document.body]) {
      this.watchers[2].observe(page, { attributes: true, attributeFilter: ["class", "style", "data-theme"] });
    }
  }

  onMove(event, fingers) {
    const before = fingers.get(event.pointerId);
    if (!before) return this.name(event);
    const now = [event.clientX, event.clientY];
    const [right, down] = [now[0] - before[0], now[1] - before[1]];
    const side = Math.min(this.canvas.clientWidth, this.canvas.clientHeight);
    if (fingers.size > 1) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)[1];
      const apart = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]);
      this.moveBy(right / side, -down / side);
      this.zoomBy(apart(now) / (apart(before) || 1));
    } else if (event.shiftKey || event.buttons & 6) {
      this.moveBy((2 * right) / side, (-2 * down) / side);
    } else {
      this.rotate((right / side) * Math.PI, (-down / side) * Math.PI);
    }
    fingers.set(event.pointerId, now);
  }

  onKey(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = Math.PI / 24;
    const arrows = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
    const arrow = arrows[event.key];
    if (arrow && event.shiftKey) this.moveBy(0.1 * arrow[0], 0.1 * arrow[1]);
    else if (arrow) this.rotate(step * arrow[0], step * arrow[1]);
    else if (event.key === "+" || event.key === "=") this.zoomBy(1.15);
    else if (event.key === "-") this.zoomBy(1 / 1.15);
    else if (event.key === "0") this.reset();
    else if (event.key === " " && this.film) this.playing ? this.pause() : this.resume();
    else return;
    event.preventDefault();
  }

  // The nearest atom under the pointer, with its place on the canvas.
  atomAt(event) {
    if (!this.isFilled) return null;
    const box = this.canvas.getBoundingClientRect();
    const [width, height] = [box.width, box.height];
    const spot = [event.clientX - box.left, event.clientY - box.top];
    let best = null;
    for (const atom of this.drawing.atoms) {
      const [x, y, depth] = this.drawing.project(atom.at, width, height);
      const radius = atom.radius * this.drawing.scaleAt(depth, height);
      if (Math.hypot(x - spot[0], y - spot[1]) < radius && (!best || depth < best.depth)) best = { atom, depth, x, y };
    }
    return best;
  }

  // The atom under the pointer: its site and coordinates.
  name(event) {
    const best = event.pointerType === "touch" ? null : this.atomAt(event);
    this.tip.hidden = !best;
    if (!best) return;
    const width = this.canvas.clientWidth;
    const place = best.atom.place.map((x) => x.toFixed(3).replace("-", "−")).join("  ");
    this.tip.textContent = `${this.scene.atoms[best.atom.index].label}   ${place}`;
    this.tip.style.left = `${Math.min(best.x + 10, Math.max(width - this.tip.offsetWidth - 4, 0))}px`;
    this.tip.style.top = `${Math.max(best.y - 30, 2)}px`;
  }

  /** The drawing as a PNG, as a data: URL. */
  snapshot() {
    this.paint();
    return this.canvas.toDataURL("image/png");
  }

  dispose() {
    this.isGone = true;
    this.pause();
    cancelAnimationFrame(this.waiting);
    clearTimeout(this.sharpening);
    this.ends.abort();
    for (const watcher of this.watchers) watcher.disconnect();
    this.drawing.dispose();
    this.host.remove();
  }
}

/** At b, in degrees. */
function angle(a, b, c) {
  return (a.clone().sub(b).angleTo(c.clone().sub(b)) * 180) / Math.PI;
}

function backgroundOf(element) {
  for (let node = element; node; node = node.parentElement ?? node.getRootNode().host) {
    const color = getComputedStyle(node).backgroundColor;
    if (color && color !== "transparent" && !/, 0\)$/.test(color)) return color;
  }
  return null;
}

function brightness(color) {
  const [r, g, b] = color.match(/[\d.]+/g).map(Number);
  return (0.3 * r + 0.59 * g + 0.11 * b) / 255;
}
