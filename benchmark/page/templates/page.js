// Start, theme, and what is packed in the page. Nothing here asks anything of a network.
const byId = (id) => document.getElementById(id);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const DATA = JSON.parse(byId("data").textContent);

function trouble(text) {
  byId("trouble").textContent = text;
  byId("trouble").hidden = false;
}

async function unpack(id) {
  const bytes = Uint8Array.from(atob(byId(id).textContent.trim()), (c) => c.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

function element(name, attributes = {}, ...children) {
  const svg = ["svg", "image", "path", "g", "circle", "rect", "text", "title"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

function setTheme(value) {
  if (value) document.documentElement.dataset.theme = value;
  else delete document.documentElement.dataset.theme;
  redraw();
}

async function save(id, name) {
  const link = element("a", { download: name });
  link.href = URL.createObjectURL(new Blob([await unpack(id)], { type: "text/csv" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

document.addEventListener("DOMContentLoaded", () => {
  byId("theme").addEventListener("change", (event) => setTheme(event.target.value));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraw());
  for (const button of all("button.download"))
    button.addEventListener("click", () => save(button.dataset.source, button.dataset.name));
  // a link to what lies in a closed part of the page opens it
  const open = () => {
    const target = location.hash && byId(decodeURIComponent(location.hash.slice(1)));
    const closed = target && target.closest("details");
    if (closed) closed.open = true;
  };
  addEventListener("hashchange", open);
  open();
  startTables();
  startGalleries();
  startPlots().catch((error) => trouble("The plots cannot be drawn in this browser (" + error.message +
    "); their numbers stand in the tables."));
});
