// What of a periodic crystal stands in the drawing: the atoms of some cells with those on their far faces,
// halves of bonds, polyhedra. Nothing here knows of WebGL. Lengths in Angstrom, rows are vectors.

const ON_FACE = 1e-3; // fraction of a cell: so near to a face an atom lies on it

/** Row vector times the matrix whose rows are the cell's vectors. */
export function toCartesian([x, y, z], [a, b, c]) {
  return [0, 1, 2].map((k) => x * a[k] + y * b[k] + z * c[k]);
}

/** The eight corners and twelve edges of a cell, or of several cells side by side. */
export function edgesOf(lattice, supercell = [1, 1, 1], each = false) {
  const edges = [];
  for (let axis = 0; axis < 3; axis++) {
    const [p, q] = [(axis + 1) % 3, (axis + 2) % 3];
    for (let i = 0; i <= supercell[p]; i += each ? 1 : supercell[p]) {
      for (let j = 0; j <= supercell[q]; j += each ? 1 : supercell[q]) {
        const start = [0, 0, 0];
        start[p] = i;
        start[q] = j;
        const end = [...start];
        end[axis] = supercell[axis];
        edges.push([toCartesian(start, lattice), toCartesian(end, lattice)]);
      }
    }
  }
  return edges;
}

function bondsByAtom(scene) {
  const of = scene.atoms.map(() => []);
  for (const [i, j, shift] of scene.bonds ?? []) {
    of[i].push([j, shift]);
    of[j].push([i, shift.map((s) => -s)]);
  }
  return of;
}

/**
 * Everything to draw.
 *
 * scene: of `crystalsmith.viewing.scene`. style: {supercell, bonds, polyhedra}.
 * Returns {atoms: [{index, place, at}], halves: [{from, to, index}], polyhedra: [{index, corners, faces}], middle}:
 * `place` is in fractions of one cell, `at`, `from`, `to`, `corners` Cartesian, `index` that of the atom in the scene.
 */
export function contents(scene, { supercell = [1, 1, 1], bonds = true, polyhedra = false } = {}) {
  const { lattice } = scene;
  const drawn = new Map();
  const put = (index, shift, isExtra) => {
    const key = `${index} ${shift.join(" ")}`;
    if (drawn.has(key)) return;
    const place = scene.atoms[index].position.map((x, k) => x + shift[k]);
    const isInside = !isExtra && place.every((x, k) => x > ON_FACE && x < supercell[k] - ON_FACE);
    drawn.set(key, { index, shift, place, at: toCartesian(place, lattice), isInside });
  };
  scene.atoms.forEach(({ position }, index) => {
    const last = position.map((x, k) => supercell[k] - (x < ON_FACE ? 0 : 1));
    for (let i = 0; i <= last[0]; i++) {
      for (let j = 0; j <= last[1]; j++) {
        for (let k = 0; k <= last[2]; k++) put(index, [i, j, k], false);
      }
    }
  });
  const solids = polyhedra ? solidsOf(scene, [...drawn.values()], put) : [];
  const atoms = [...drawn.values()];
  const halves = bonds ? halvesOf(scene, atoms, drawn) : [];
  return { atoms, halves, polyhedra: solids, middle: toCartesian(supercell.map((n) => n / 2), lattice) };
}

function solidsOf(scene, atoms, put) {
  const around = new Map((scene.polyhedra ?? []).map((solid) => [solid.centre, solid]));
  const solids = [];
  for (const { index, shift } of atoms) {
    const solid = around.get(index);
    if (!solid) continue;
    const corners = solid.corners.map(([j, offset]) => {
      const cell = offset.map((s, k) => s + shift[k]);
      put(j, cell, true); // corners that lie outside of the cell are shown too
      return toCartesian(scene.atoms[j].position.map((x, k) => x + cell[k]), scene.lattice);
    });
    solids.push({ index, corners, faces: solid.faces });
  }
  return solids;
}

// A bond between two drawn atoms is drawn from both ends. One that leaves the drawing is kept for atoms inside
// the cell, whose neighbours it shows; on a face it would be a mere spike.
function halvesOf(scene, atoms, drawn) {
  const of = bondsByAtom(scene);
  const halves = [];
  for (const { index, shift, at, isInside } of atoms) {
    for (const [j, offset] of of[index]) {
      const cell = offset.map((s, k) => s + shift[k]);
      if (!isInside && !drawn.has(`${j} ${cell.join(" ")}`)) continue;
      const other = toCartesian(scene.atoms[j].position.map((x, k) => x + cell[k]), scene.lattice);
      halves.push({ index, from: at, to: at.map((x, k) => (x + other[k]) / 2) });
    }
  }
  return halves;
}
