// Balls, sticks, edges and polyhedra of one drawing, made with three.js. All drawings of a page share one WebGL
// context, since browsers allow few: each is rendered when it changes and copied into a canvas of its own.

import { THREE } from "./three.js";
import { contents, edgesOf } from "./contents.js";

const STICK = 0.1; // radius of a bond in Angstrom
const EYE = 7; // distance of the eye in radii of the drawing: a mild perspective
const HAZE = 0.42; // how far the rearmost fades into the page
// Balls up to which each has so many slices and layers; a large cell stays fluid.
const DETAIL = [[60, 36, 24], [400, 22, 14], [Infinity, 14, 9]];
const SOLID = 0.42; // opacity of polyhedra

let shared;

function stage() {
  if (shared) return shared;
  const canvas = document.createElement("canvas");
  let renderer;
  try {
    renderer = new THREE.WebGLRenderer({ canvas, antialias: true, alpha: true, premultipliedAlpha: true });
  } catch {
    throw new Error("no WebGL");
  }
  renderer.setClearColor(0x000000, 0);
  renderer.autoClear = false;
  const cylinder = (sides) => {
    const shape = new THREE.CylinderGeometry(1, 1, 1, sides, 1, true);
    return shape.translate(0, 0.5, 0).rotateX(Math.PI / 2); // from the origin along z
  };
  shared = {
    renderer,
    canvas,
    size: [0, 0],
    balls: DETAIL.map(([, slices, layers]) => new THREE.SphereGeometry(1, slices, layers)),
    sticks: DETAIL.map(([, slices]) => cylinder(slices / 2)),
  };
  return shared;
}

// Instances of one shape; grows where it must, so that the frames of a film do not allocate.
class Flock {
  constructor(group, shape, material) {
    Object.assign(this, { group, shape, material, mesh: null });
  }

  set(matrices, colors, shape = this.shape) {
    const room = this.mesh?.instanceMatrix.count ?? 0;
    if (matrices.length > room || this.mesh?.geometry !== shape) {
      this.dispose();
      this.mesh = new THREE.InstancedMesh(shape, this.material, Math.max(8, Math.ceil(matrices.length * 1.2)));
      this.mesh.frustumCulled = false;
      this.group.add(this.mesh);
    }
    this.mesh.count = matrices.length;
    matrices.forEach((matrix, k) => this.mesh.setMatrixAt(k, matrix));
    if (colors) colors.forEach((color, k) => this.mesh.setColorAt(k, color));
    this.mesh.instanceMatrix.needsUpdate = true;
    if (this.mesh.instanceColor) this.mesh.instanceColor.needsUpdate = true;
  }

  dispose() {
    if (!this.mesh) return;
    this.group.remove(this.mesh);
    this.mesh.dispose();
    this.mesh = null;
  }
}

const UP = new THREE.Vector3(0, 0, 1);

function stickMatrix(from, to, radius) {
  const along = to.clone().sub(from);
  const length = along.length();
  const turn = new THREE.Quaternion().setFromUnitVectors(UP, along.divideScalar(length || 1));
  return new THREE.Matrix4().compose(from, turn, new THREE.Vector3(radius, radius, length));
}

export class Drawing {
  constructor() {
    this.stage = stage();
    this.world = new THREE.Scene();
    this.camera = new THREE.PerspectiveCamera((2 * Math.atan(1 / EYE) * 180) / Math.PI, 1, 0.1, 1000);
    this.turned = new THREE.Group();
    this.world.add(this.turned);
    this.light();
    const surface = () => new THREE.MeshStandardMaterial({ roughness: 0.42, metalness: 0.0 });
    this.balls = new Flock(this.turned, this.stage.balls[0], surface());
    this.sticks = new Flock(this.turned, this.stage.sticks[0], surface());
    this.bars = new Flock(this.turned, this.stage.sticks.at(-1), new THREE.MeshBasicMaterial());
    this.solids = new THREE.Group();
    this.turned.add(this.solids);
    this.haze = new THREE.Fog(0xffffff, 1, 2);
    this.world.fog = this.haze;
    this.radius = 1;
    this.labels = [];
    this.axes = [];
    this.atoms = [];
  }

  light() {
    this.world.add(new THREE.HemisphereLight(0xffffff, 0x8d93a3, 2.1));
    for (const [strength, ...at] of [[2.0, -0.45, 0.75, 0.75], [0.5, 0.9, -0.2, 0.5]]) {
      const lamp = new THREE.DirectionalLight(0xffffff, strength);
      lamp.position.set(...at);
      this.world.add(lamp);
    }
  }

  /** Take the atoms, bonds, cell and polyhedra of a scene; keepSize: as `fit`. */
  fill(scene, style, keepSize = false) {
    const shown = contents(scene, style);
    const middle = new THREE.Vector3(...shown.middle);
    const place = (at) => new THREE.Vector3(...at).sub(middle);
    const colors = Object.fromEntries(
      Object.entries(scene.elements).map(([name, { color }]) => [name, new THREE.Color(color)]),
    );
    const elementOf = (item) => scene.atoms[item.index].element;
    const kind = DETAIL.findIndex(([most]) => shown.atoms.length <= most);

    this.atoms = shown.atoms.map((atom) => {
      const element = elementOf(atom);
      return { ...atom, element, at: place(atom.at), radius: scene.elements[element].radius };
    });
    this.balls.set(
      this.atoms.map(({ at, radius }) => new THREE.Matrix4().makeScale(radius, radius, radius).setPosition(at)),
      this.atoms.map(({ element }) => colors[element]),
      this.stage.balls[kind],
    );
    this.sticks.set(
      shown.halves.map(({ from, to }) => stickMatrix(place(from), place(to), STICK)),
      shown.halves.map((half) => colors[elementOf(half)]),
      this.stage.sticks[kind],
    );
    const edges = edgesOf(scene.lattice, style.supercell).map((edge) => edge.map(place));
    this.view = scene.view ?? this.view ?? [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
    this.fit(edges, keepSize);
    const thickness = 0.0045 * this.radius;
    this.bars.set(style.cell === false ? [] : edges.map(([from, to]) => stickMatrix(from, to, thickness)));
    this.fillSolids(shown.polyhedra, place, (item) => colors[elementOf(item)]);
    this.nameAxes(scene.lattice, style, place);
  }

  // keepSize: no nearer than before, so that what shrinks and grows in a film can be seen to.
  fit(edges, keepSize) {
    const cell = Math.max(...edges.flat().map((corner) => corner.length()), 0.5);
    this.reach = this.atoms.reduce((most, { at, radius }) => Math.max(most, at.length() + radius), cell);
    // Half width and height as seen at first; what is long is not made small for the sake of its other side.
    const spread = (k) => {
      const look = new THREE.Vector3(...this.view.map((row) => row[k]));
      const corners = edges.flat().reduce((most, corner) => Math.max(most, Math.abs(corner.dot(look))), 0);
      return this.atoms.reduce((most, { at, radius }) => Math.max(most, Math.abs(at.dot(look)) + radius), corners);
    };
    const own = { reach: this.reach, extent: [0, 1].map((k) => Math.max(1.06 * spread(k), 0.74 * this.reach)) };
    if (!keepSize || !this.base) this.base = own;
    this.reach = this.radius = Math.max(own.reach, this.base.reach);
    this.extent = own.extent.map((x, k) => Math.max(x, this.base.extent[k]));
  }

  fillSolids(polyhedra, place, colorOf) {
    for (const part of [...this.solids.children]) {
      part.geometry.dispose();
      part.material.dispose();
      this.solids.remove(part);
    }
    if (!polyhedra.length) return;
    const points = [];
    const tints = [];
    const rims = [];
    const rimTints = [];
    for (const solid of polyhedra) {
      const corners = solid.corners.map(place);
      const color = colorOf(solid);
      for (const face of solid.faces) {
        for (const k of face) {
          points.push(...corners[k].toArray());
          tints.push(...color.toArray());
        }
      }
      for (const [i, j] of ridges(corners, solid.faces)) {
        rims.push(...corners[i].toArray(), ...corners[j].toArray());
        rimTints.push(...color.clone().multiplyScalar(0.6).toArray(), ...color.clone().multiplyScalar(0.6).toArray());
      }
    }
    const shape = new THREE.BufferGeometry();
    shape.setAttribute("position", new THREE.Float32BufferAttribute(points, 3));
    shape.setAttribute("color", new THREE.Float32BufferAttribute(tints, 3));
    shape.computeVertexNormals();
    // Far sides first, then near ones: translucent faces must be painted in that order.
    for (const [order, side] of [[1, THREE.BackSide], [2, THREE.FrontSide]]) {
      const material = new THREE.MeshStandardMaterial({
        vertexColors: true,
        transparent: true,
        opacity: order === 1 ? SOLID * 0.7 : SOLID,
        roughness: 0.6,
        side,
        depthWrite: false,
        flatShading: true,
      });
      const mesh = new THREE.Mesh(shape, material);
      mesh.renderOrder = order;
      this.solids.add(mesh);
    }
    const lines = new THREE.BufferGeometry();
    lines.setAttribute("position", new THREE.Float32BufferAttribute(rims, 3));
    lines.setAttribute("color", new THREE.Float32BufferAttribute(rimTints, 3));
    const look = { vertexColors: true, transparent: true, opacity: 0.75 };
    this.solids.add(new THREE.LineSegments(lines, new THREE.LineBasicMaterial(look)));
  }

  nameAxes(lattice, { supercell = [1, 1, 1] }, place) {
    this.axes = ["a", "b", "c"].map((name, axis) => ({
      name,
      edges: edgesOf(lattice, supercell).slice(4 * axis, 4 * axis + 4).map((edge) => edge.map(place)),
    }));
  }

  /**
   * Paint into a 2D canvas, in its pixels.
   *
   * look: {turn: quaternion, zoom, shift: [x, y], paper, line, free}; `free` is what the tool bars take of it in
   * pixels: above, right, below, left.
   */
  paint(canvas, look) {
    const { renderer, size } = this.stage;
    const { width, height } = canvas;
    if (!width || !height) return;
    if (width > size[0] || height > size[1]) {
      this.stage.size = [Math.max(width, size[0]), Math.max(height, size[1])];
      renderer.setSize(...this.stage.size, false);
    }
    this.aim(width, height, look);
    renderer.setViewport(0, 0, width, height);
    renderer.setScissor(0, 0, width, height);
    renderer.setScissorTest(true);
    renderer.clear();
    renderer.render(this.world, this.camera);
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    pen.drawImage(this.stage.canvas, 0, this.stage.size[1] - height, width, height, 0, 0, width, height);
  }

  aim(width, height, { turn, zoom, shift, paper, line, free = [0, 0, 0, 0] }) {
    const [above, right, below, left] = free;
    const room = [Math.max(width - left - right, width / 3), Math.max(height - above - below, height / 3)];
    const half = Math.max((this.extent[0] * height) / room[0], (this.extent[1] * height) / room[1]);
    const distance = (EYE * half) / zoom;
    this.camera.aspect = width / height;
    this.camera.setViewOffset(width, height, (right - left) / 2, (below - above) / 2, width, height);
    this.camera.position.set(-shift[0] * this.radius, -shift[1] * this.radius, distance);
    this.camera.near = Math.max(distance - 1.5 * this.reach, 0.02 * distance);
    this.camera.far = distance + 1.5 * this.reach;
    this.camera.updateProjectionMatrix();
    this.turned.quaternion.copy(turn);
    this.turned.updateMatrixWorld(true);
    this.haze.color.set(paper);
    this.haze.near = distance - this.radius;
    this.haze.far = this.haze.near + (2 * this.radius) / HAZE;
    this.bars.material.color.set(line);
    this.camera.updateMatrixWorld(true);
  }

  /** Where a point of the drawing stands on a canvas of this size, as of the last painting: [x, y, depth]. */
  project(point, width, height) {
    const seen = this.turned.localToWorld(point.clone());
    const depth = this.camera.position.z - seen.z;
    const flat = seen.project(this.camera);
    return [((flat.x + 1) / 2) * width, ((1 - flat.y) / 2) * height, depth];
  }

  /** Pixels of one Angstrom at this depth. */
  scaleAt(depth, height) {
    return (height * EYE) / 2 / depth;
  }

  dispose() {
    for (const flock of [this.balls, this.sticks, this.bars]) {
      flock.dispose();
      flock.material.dispose();
    }
    this.fillSolids([]);
  }
}

// The edges of a polyhedron but for those between triangles of one plane.
function ridges(corners, faces) {
  const normals = faces.map(([i, j, k]) =>
    corners[j].clone().sub(corners[i]).cross(corners[k].clone().sub(corners[i])).normalize(),
  );
  const sides = new Map();
  faces.forEach((face, f) => {
    face.forEach((i, n) => {
      const j = face[(n + 1) % 3];
      const key = i < j ? `${i} ${j}` : `${j} ${i}`;
      sides.set(key, [...(sides.get(key) ?? []), f]);
    });
  });
  const isRidge = ([f, g]) => g === undefined || normals[f].dot(normals[g]) < 0.985;
  return [...sides].filter(([, pair]) => isRidge(pair)).map(([key]) => key.split(" ").map(Number));
}

export const { Quaternion, Vector3, Matrix4 } = THREE;
