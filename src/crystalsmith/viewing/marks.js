// What is written on the canvas above the drawing, and how the viewer's parts look.

import { Vector3 } from "./drawing.js";

export const LOOK = `
:host { all: initial; display: block; position: relative; height: 100%; font: 13px/1.4 system-ui, "DejaVu Sans", sans-serif;
  color: var(--viewer-ink); min-width: 0; }
.stage { position: absolute; inset: 0; overflow: hidden; border-radius: inherit; }
canvas { position: absolute; inset: 0; width: 100%; height: 100%; cursor: grab; touch-action: pan-y; outline: none; }
canvas:focus { touch-action: none; } canvas:active { cursor: grabbing; }
canvas:focus-visible { box-shadow: inset 0 0 0 2px var(--viewer-accent); }
ul { position: absolute; left: .5rem; bottom: .4rem; right: .5rem; margin: 0; padding: 0; list-style: none;
  display: flex; flex-wrap: wrap; gap: .1rem .7rem; pointer-events: none; }
.film + ul { bottom: 2.5rem; }
li { display: flex; align-items: center; gap: .3rem; }
li i { width: .8rem; height: .8rem; border-radius: 50%; box-shadow: inset 0 0 0 1px rgba(0,0,0,.25); }
.bar { position: absolute; top: .35rem; right: .35rem; display: flex; flex-wrap: wrap; justify-content: flex-end; gap: .2rem; }
button { font: inherit; font-size: 12px; color: var(--viewer-ink); background: var(--viewer-paper); opacity: .82;
  border: 1px solid var(--viewer-line); border-radius: .35rem; padding: .12rem .45rem; min-width: 1.75rem; min-height: 1.6rem;
  cursor: pointer; }
button:hover, button:focus-visible { opacity: 1; border-color: var(--viewer-accent); }
button:focus-visible, input:focus-visible { outline: 2px solid var(--viewer-accent); outline-offset: 1px; }
button[aria-pressed=true] { border-color: var(--viewer-accent); box-shadow: inset 0 0 0 1px var(--viewer-accent); opacity: 1; }
.film { position: absolute; left: .5rem; right: .5rem; bottom: .35rem; display: flex; align-items: center; gap: .5rem; }
.film input { flex: 1; min-width: 3rem; accent-color: var(--viewer-accent); }
.film output { min-width: 4.2rem; text-align: right; font-variant-numeric: tabular-nums; font-size: 12px; }
.measure { position: absolute; top: .4rem; left: .6rem; font-size: 12px; font-variant-numeric: tabular-nums;
  pointer-events: none; }
.tip { position: absolute; pointer-events: none; white-space: nowrap; background: var(--viewer-paper);
  border: 1px solid var(--viewer-line); border-radius: .35rem; padding: .1rem .45rem; font-size: 12px; }
[hidden] { display: none !important; }
@media (prefers-reduced-motion: reduce) { * { transition: none; } }
@media print { .bar, .film, .tip { display: none; } }
`;

function write(pen, text, [x, y], colors, size, slant = "") {
  pen.font = `${slant} ${size}px system-ui, "DejaVu Sans", sans-serif`;
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  pen.lineWidth = size / 4;
  pen.lineJoin = "round";
  pen.strokeStyle = colors.paper;
  pen.strokeText(text, x, y);
  pen.fillStyle = colors.ink;
  pen.fillText(text, x, y);
}

// Each letter stands beside the outermost of the edges along its vector, free of the balls.
export function writeAxes(pen, drawing, colors, ratio) {
  const { width, height } = pen.canvas;
  const see = (point) => drawing.project(point, width, height);
  const centre = see(new Vector3());
  const size = 14 * ratio;
  const sides = { a: [-1, 1], b: [0.3, 1], c: [-1, 0] };
  const discs = drawing.atoms.map(({ at, radius }) => {
    const [x, y, depth] = see(at);
    return [x, y, radius * drawing.scaleAt(depth, height)];
  });
  for (const { name, edges } of drawing.axes) {
    const side = sides[name];
    const lines = edges.map(([from, to]) => [see(from), see(to)]);
    const score = ([p, q]) => ((p[0] + q[0]) / 2) * side[0] + ((p[1] + q[1]) / 2) * side[1];
    const [p, q] = lines.reduce((best, line) => (score(line) > score(best) ? line : best));
    const along = [q[0] - p[0], q[1] - p[1]];
    const length = Math.hypot(...along);
    if (length < 2 * size) continue; // seen end on
    const middle = [(p[0] + q[0]) / 2, (p[1] + q[1]) / 2];
    let out = [-along[1] / length, along[0] / length];
    if ((middle[0] - centre[0]) * out[0] + (middle[1] - centre[1]) * out[1] < 0) out = [-out[0], -out[1]];
    let room = 0.85 * size;
    let spot = middle;
    for (let step = 0; step < 14; step++, room += 0.3 * size) {
      spot = [middle[0] + room * out[0], middle[1] + room * out[1]];
      if (discs.every(([x, y, r]) => Math.hypot(x - spot[0], y - spot[1]) > r + 0.55 * size)) break;
    }
    const keep = (x, most) => Math.min(Math.max(x, 0.7 * size), most - 0.7 * size);
    write(pen, name, [keep(spot[0], width), keep(spot[1], height)], colors, size, "italic");
  }
}

/** Names on the balls, the nearest last. */
export function writeLabels(pen, drawing, colors, ratio, nameOf) {
  const { width, height } = pen.canvas;
  const seen = drawing.atoms.map((atom) => [atom, drawing.project(atom.at, width, height)]);
  seen.sort(([, p], [, q]) => q[2] - p[2]);
  for (const [atom, spot] of seen) {
    const size = Math.min(Math.max(0.3 * drawing.scaleAt(spot[2], height), 9 * ratio), 15 * ratio);
    write(pen, nameOf(atom), spot, colors, size);
  }
}

/** Rings around the atoms that were clicked, and a line from one to the next. */
export function markPicked(pen, drawing, picked, colors, ratio) {
  const { width, height } = pen.canvas;
  const spots = picked.map((atom) => [atom, drawing.project(atom.at, width, height)]);
  pen.strokeStyle = colors.accent;
  pen.lineWidth = 2 * ratio;
  pen.setLineDash([5 * ratio, 4 * ratio]);
  pen.beginPath();
  for (const [, [x, y]] of spots) pen.lineTo(x, y);
  pen.stroke();
  pen.setLineDash([]);
  for (const [atom, [x, y, depth]] of spots) {
    pen.beginPath();
    pen.arc(x, y, atom.radius * drawing.scaleAt(depth, height) + 2 * ratio, 0, 2 * Math.PI);
    pen.stroke();
  }
}
