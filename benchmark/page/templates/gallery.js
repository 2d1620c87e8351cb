// The gallery: one slice at a time, the reference beside an estimate.
const CLASS_NAMES = ["none"], SIGNS = { hit: "", miss: "−", false: "+", wrong: "≠" };

function startGalleries() {
  for (const root of all(".gallery")) startGallery(root, DATA[root.dataset.run].gallery);
}

function startGallery(root, data) {
  CLASS_NAMES.splice(1, 3, ...data.arteries);
  const name = root.dataset.run;
  const method = select(name + "-gallery-method", data.methods.map((m) => m.title + ", seed " + m.seed));
  const scan = select(name + "-gallery-scan", []);
  const slider = element("input", { type: "range", min: 0, value: 0, step: 1, id: name + "-gallery-slice", autocomplete: "off" });
  const where = element("output", { for: slider.id });
  const views = element("div", { class: "views" }), found = element("p", { class: "found", "aria-live": "polite" });
  root.replaceChildren(
    element("div", { class: "controls" }, label("method", method), label("scan", scan), label("slice", slider), where), views, found);

  function fillScans() {
    const chosen = data.methods[method.value].chosen, kinds = {};
    for (const [kind, id] of Object.entries(chosen)) (kinds[id] = kinds[id] || []).push(kind);
    const order = [...data.scans.keys()].sort((a, b) => rank(data.scans[a]) - rank(data.scans[b]));
    function rank(one) {
      const own = kinds[one.id];
      return own ? ["worst", "median", "best"].indexOf(own[0]) : 9;
    }
    const kept = scan.value;
    scan.replaceChildren(...order.map((place) => {
      const one = data.scans[place], tag = kinds[one.id] ? kinds[one.id].join(", ") + ": " : "";
      return element("option", { value: place }, tag + one.id + " (Agatston " + Math.round(one.agatston) + ")");
    }));
    scan.value = kept && kinds[data.scans[kept].id] === undefined ? kept : String(order[0]);
    fillSlices();
  }

  function fillSlices() {
    const one = data.scans[scan.value], slices = one.slices;
    slider.max = slices.length - 1;
    slider.disabled = slices.length < 2;
    // first the slice with most reference lesions; of equal ones, with most candidates
    const rich = (s) => 1000 * s.parts.filter(([number]) => one.reference[number]).length + s.parts.length;
    let most = 0;
    slices.forEach((s, i) => { if (rich(s) > rich(slices[most])) most = i; });
    slider.value = most;
    show();
  }

  function show() {
    const one = data.scans[scan.value], slice = one.slices[slider.value], own = one.classes[method.value];
    where.textContent = "slice " + slice.level + " of " + one.depth;
    slider.setAttribute("aria-valuetext", where.textContent);
    const estimate = one.estimates[method.value], title = data.methods[method.value].title;
    views.replaceChildren(
      view(one, slice, one.reference, null, "Reference: Agatston " + one.agatston.toFixed(0) + ", risk " + one.risk),
      view(one, slice, one.reference, own, title + ": " + (estimate === null ? "no estimate" : "Agatston " + estimate.toFixed(0) + " from the mask")));
    found.textContent = describe(slice, one.reference, own);
  }

  method.addEventListener("change", fillScans);
  scan.addEventListener("change", fillSlices);
  slider.addEventListener("input", show);
  fillScans();
}

function select(id, names) {
  return element("select", { id, autocomplete: "off" }, ...names.map((text, i) => element("option", { value: i }, text)));
}

function label(text, control) {
  return element("label", {}, text + " ", control);
}

function status(reference, estimate) {
  if (reference && reference === estimate) return "hit";
  if (reference && !estimate) return "miss";
  if (!reference && estimate) return "false";
  return reference && estimate ? "wrong" : "";
}

// estimate null: the reference itself
function view(scan, slice, reference, estimate, text) {
  const [width, height] = scan.size, [dx, dy] = scan.pixel;
  const svg = element("svg", { viewBox: "0 0 " + width + " " + height, role: "img", "aria-label": text + ", slice " + slice.level });
  svg.append(element("image", { href: slice.image, width, height, preserveAspectRatio: "none" }));
  const marks = element("g");
  for (const [number, path] of slice.parts) {
    const truth = reference[number] || 0, given = estimate ? estimate[number] || 0 : truth;
    const kind = status(truth, given);
    if (!kind) continue;
    const artery = kind === "miss" ? truth : given, scaled = "scale(" + dx + " " + dy + ")";
    const outline = element("path", { d: path, transform: scaled, class: "shape a" + artery + " " + kind });
    outline.append(element("title", {}, sentence(truth, given)));
    svg.append(element("path", { d: path, transform: scaled, class: "halo" }), outline);
    marks.append(marker(artery, SIGNS[kind], corner(path, dx, dy), width / 55));
  }
  svg.append(marks);
  return element("figure", {}, svg, element("figcaption", {}, text));
}

// where a mark stands: beside the first corner of the outline, its top
function corner(path, dx, dy) {
  const [x, y] = path.slice(1).split(/[hvzM ]/, 2).map(Number);
  return [x * dx, y * dy];
}

// the artery by shape and colour, what became of it by a sign: never by colour alone
function marker(artery, sign, [x, y], r) {
  const cx = Math.max(r, x - 1.6 * r), cy = Math.max(r, y - 1.6 * r), made = element("g"), cls = "marker m" + artery;
  if (artery === 1) made.append(element("circle", { cx, cy, r, class: cls }));
  else if (artery === 2) made.append(element("rect", { x: cx - r, y: cy - r, width: 2 * r, height: 2 * r, class: cls }));
  else made.append(element("path", { d: "M" + cx + " " + (cy - 1.2 * r) + "l" + 1.2 * r + " " + 2.2 * r + "h" + -2.4 * r + "z", class: cls }));
  if (sign) {
    const text = element("text", { class: "sign", transform: "translate(" + (cx + 1.2 * r) + " " + (cy + r) + ") scale(" + 3.6 * r + ")" });
    text.textContent = sign;
    made.append(text);
  }
  return made;
}

function sentence(truth, given) {
  const kind = status(truth, given), name = (k) => CLASS_NAMES[k];
  if (kind === "hit") return name(truth) + ": found";
  if (kind === "miss") return name(truth) + ": missed";
  if (kind === "false") return "false alarm, called " + name(given);
  return name(truth) + ": given to " + name(given);
}

function describe(slice, reference, estimate) {
  const counts = {};
  for (const [number] of slice.parts) {
    const truth = reference[number] || 0, given = estimate[number] || 0;
    if (status(truth, given)) counts[sentence(truth, given)] = (counts[sentence(truth, given)] || 0) + 1;
  }
  const parts = Object.entries(counts).map(([text, n]) => (n > 1 ? n + " × " : "") + text);
  return "On this slice: " + (parts.length ? parts.join("; ") : "nothing in the reference, nothing called calcium") + ".";
}
