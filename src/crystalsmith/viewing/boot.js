// Starts the viewers of a page that is a single file. The modules lie in it, packed; each is unpacked into an
// address of its own, since a file has no server to ask for them.

const unpack = async (block) => {
  const bytes = Uint8Array.from(atob(block.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
};

const places = {};
for (const block of document.querySelectorAll("script[data-module]")) {
  const text = (await unpack(block)).replace(/from "\.\/([\w.]+)"/g, (_, name) => `from "${places[name]}"`);
  places[block.dataset.module] = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
}
const { show } = await import(places["viewer.js"]);

for (const element of document.querySelectorAll("[data-crystal]")) {
  const { frames, ...options } = JSON.parse(element.dataset.options || "{}");
  const scene = JSON.parse(element.querySelector("script").textContent);
  let view;
  try {
    view = show(element, Array.isArray(scene) ? scene[0] : scene, options);
  } catch {
    continue; // no WebGL: what stands there stays
  }
  element.classList.add("alive");
  if (Array.isArray(scene)) view.play(scene, options);
}
