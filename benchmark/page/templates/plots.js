// Plots, drawn by Plotly when they come into view, and again when the colours change.
const drawn = new Set();
let ready = null;

function startPlots() {
  for (const pick of all("figure select.pick"))
    pick.addEventListener("change", () => {
      const figure = pick.closest("figure");
      if (pick.classList.contains("swap"))
        for (const part of all(".swapped", figure)) part.hidden = part.dataset.place !== pick.value;
      for (const plot of all(".plot", figure)) draw(plot);
    });
  const watch = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) {
      watch.unobserve(entry.target);
      draw(entry.target);
    }
  }, { rootMargin: "600px" });
  addEventListener("beforeprint", () => { if (window.Plotly) for (const plot of all(".plot")) draw(plot, true); });
  addEventListener("afterprint", redraw);
  let width = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== width) { width = innerWidth; redraw(); } });
  ready = unpack("plotly").then((text) => {
    const script = document.createElement("script");
    script.textContent = text;
    document.head.append(script);
    if (!window.Plotly) throw new Error("Plotly did not start");
    for (const plot of all(".plot")) watch.observe(plot);
  });
  return ready;
}

function redraw() {
  for (const plot of drawn) draw(plot);
}

function draw(plot, print = false) {
  const data = DATA[plot.dataset.run], figure = plot.closest("figure");
  const picked = Object.fromEntries(all("select.pick", figure).map((s) => [s.dataset.pick, s.value]));
  const made = PLOTS[plot.dataset.plot](data, picked, plot.clientWidth);
  drawn.add(plot);
  plot.style.height = made.layout.height + "px";
  const ink = print ? "#000" : colour("ink"), line = print ? "#bbb" : colour("line");
  for (const [name, axis] of Object.entries(made.layout))
    if (/^[xy]axis/.test(name)) Object.assign(axis, { gridcolor: line, linecolor: ink, zerolinecolor: colour("quiet"), automargin: true, ...axis });
  const layout = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest",
    font: { family: "system-ui, sans-serif", size: 12, color: ink }, margin: { l: 8, r: 12, t: 28, b: 44 },
    hoverlabel: { bgcolor: colour("paper"), bordercolor: ink, font: { color: ink }, align: "left" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("quiet"), activecolor: ink },
    showlegend: false, ...made.layout };
  const done = Plotly.react(plot, made.traces, layout, { responsive: true, displaylogo: false,
    displayModeBar: plot.clientWidth > 600 ? "hover" : false, modeBarButtons: [["toImage", "zoom2d", "pan2d", "resetScale2d"]] });
  // the numbers stand in a table: of the plot only its buttons are read aloud
  for (const svg of all("svg.main-svg", plot)) svg.setAttribute("aria-hidden", "true");
  return done;
}

// names are data, not markup: Plotly would read tags in them
const plainText = (text) => String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
const short = (text, width) => {
  const most = width < 600 ? 20 : 44;
  const end = Math.floor((most - 1) / 2);  // where what tells two titles apart may stand
  return plainText(text.length > most ? text.slice(0, most - 1 - end) + "…" + text.slice(-end) : text);
};
const signed = (v) => (v === null ? "–" : (v > 0 ? "+" : v < 0 ? "−" : "") + Math.abs(v).toFixed(3));
const span = (pair) => (pair ? signed(pair[0]) + " to " + signed(pair[1]) : "none");

function forest(panels, picked, width) {
  const panel = panels[Number(picked.panel)], defined = panel.rows.filter((r) => r.value !== null);
  // references without training lie so far off that nothing else could be told apart
  const trained = defined.filter((r) => r.trained), rows = (trained.length ? trained : defined).reverse();
  const places = rows.map((_, i) => i), traces = [], ink = colour("ink"), mask = colour("mask");
  const bars = (name, thick, shade) => {
    const x = [], y = [];
    rows.forEach((row, i) => { if (row[name]) { x.push(row[name][0], row[name][1], null); y.push(i, i, null); } });
    traces.push({ x, y, mode: "lines", line: { width: thick, color: shade }, hoverinfo: "skip" });
  };
  bars("both", 1.5, ink);
  bars("patients", 5, mask);
  const decided = (row) => ["told apart", "lower", "higher", "lower in B", "higher in B"].includes(row.verdict) ||
    (row.verdict === "" && row.both && row.both[0] * row.both[1] > 0);
  const symbol = (row) => decided(row) ? "diamond" : row.verdict === "these trained networks only" ? "diamond-open-dot" : "diamond-open";
  traces.push({ x: rows.map((r) => r.value), y: places, mode: "markers",
    marker: { size: 10, color: ink, symbol: rows.map(symbol), line: { width: 1.5, color: ink } },
    hovertext: rows.map((r) => plainText(r.label) + "<br>" + signed(r.value) + "<br>over patients " + span(r.patients) +
      (r.both ? "<br>and trainings " + span(r.both) : "") + (r.verdict ? "<br>" + r.verdict : "")), hoverinfo: "text" });
  const ends = rows.flatMap((r) => [r.value, ...(r.patients || []), ...(r.both || [])]).concat(0);
  const least = Math.min(...ends), most = Math.max(...ends), room = 0.05 * (most - least || 1);
  return { traces, layout: { height: 90 + 24 * rows.length,
    xaxis: { range: [least - room, most + room], title: { text: plainText(panel.name) + " less that of " + short(panel.best, width) }, zeroline: true, zerolinewidth: 2 },
    yaxis: { tickvals: places, ticktext: rows.map((r) => short(r.label, width)), range: [-0.7, rows.length - 0.3], zeroline: false, showgrid: false } } };
}

function cost(data, picked, width) {
  const own = data.cost, i = Number(picked.cost), j = Number(picked.worth), traces = [];
  const line = own.frontiers[i][j].map((k) => own.points[k]);
  traces.push({ x: line.map((p) => p.costs[i]), y: line.map((p) => p.values[j]), mode: "lines",
    line: { shape: "hv", width: 1.5, color: colour("quiet"), dash: "dot" }, hoverinfo: "skip", showlegend: false });
  const best = new Set(own.frontiers[i][j]), narrow = width < 600;
  for (const [source, shape, shade] of [["mask", "circle", colour("mask")], ["head", "square", colour("head")]]) {
    const points = own.points.map((p, k) => ({ ...p, k })).filter((p) => p.source === source && p.costs[i] !== null && p.values[j] !== null);
    // names stand right of their points, alternately above and below; left of them at the right edge
    const far = Math.max(...own.points.map((p) => p.costs[i] ?? 0)), named = (p) => !narrow || best.has(p.k);
    const sorted = points.filter(named).sort((a, b) => a.costs[i] - b.costs[i]);
    const side = (p) => (sorted.indexOf(p) % 2 ? "top " : "bottom ") + (p.costs[i] > 0.8 * far ? "left" : "right");
    if (points.length) traces.push({ x: points.map((p) => p.costs[i]), y: points.map((p) => p.values[j]), name: source, mode: "markers+text",
      text: points.map((p) => (named(p) ? short(p.label, width) : "")), textposition: points.map(side),
      textfont: { size: 11 }, marker: { symbol: points.map((p) => shape + (best.has(p.k) ? "" : "-open")), size: 10, color: shade, line: { width: 1.5, color: shade } },
      error_y: { type: "data", symmetric: false, array: points.map((p) => p.high[j] - p.values[j]), arrayminus: points.map((p) => p.values[j] - p.low[j]), thickness: 1, width: 3, color: shade },
      hovertext: points.map((p) => plainText(p.label) + " (" + p.source + ")<br>" + own.worth[j] + " " + p.values[j].toFixed(3) + "<br>" + own.costs[i] + " " + p.costs[i].toLocaleString("en")), hoverinfo: "text" });
  }
  const costs = own.points.map((p) => p.costs[i]).filter((v) => v > 0);
  const log = costs.length && Math.max(...costs) / Math.min(...costs) > 20;
  return { traces, layout: { height: 440, showlegend: true, legend: { orientation: "h", y: 1.08 },
    xaxis: { title: { text: own.costs[i] }, type: log ? "log" : "linear" }, yaxis: { title: { text: own.worth[j] }, zeroline: false } } };
}

function agreement(data, picked) {
  const own = data.agreement, k = Number(picked.score), line = own.lines[Number(picked.line)], score = line.scores[k];
  const unit = own.units[k] ? " (" + own.units[k] + ")" : "", missing = new Set(score.missing), traces = [], shapes = [];
  const part = (gone, symbol, name) => {
    const places = own.ids.map((_, i) => i).filter((i) => missing.has(i) === gone);
    if (places.length) traces.push({ x: places.map((i) => score.mean[i]), y: places.map((i) => score.difference[i]), mode: "markers", name,
      marker: { symbol, size: 7, color: gone ? colour("warn") : colour("mask"), line: { width: 1.3 } },
      hovertext: places.map((i) => plainText(own.ids[i]) + "<br>mean " + score.mean[i] + "<br>difference " + score.difference[i]), hoverinfo: "text" });
  };
  part(false, "circle-open", "scan");
  part(true, "x", "no estimate: worst value");
  for (const [ends, dash] of [[score.bias, "solid"], [score.lower, "dash"], [score.upper, "dash"]]) {
    if (ends[0] === null) continue;
    shapes.push({ type: "line", xref: "paper", x0: 0, x1: 1, y0: ends[0], y1: ends[0], line: { dash, width: 1.5, color: dash === "solid" ? colour("ink") : colour("warn") } });
    if (ends[1] !== null) shapes.push({ type: "rect", xref: "paper", x0: 0, x1: 1, y0: ends[1], y1: ends[2], fillcolor: dash === "solid" ? colour("ink") : colour("warn"), opacity: 0.12, line: { width: 0 } });
  }
  return { traces, layout: { height: 400, shapes, showlegend: missing.size > 0, legend: { orientation: "h", y: 1.1 },
    xaxis: { title: { text: own.scores[k] + ", mean of estimate and reference" + unit }, zeroline: false },
    yaxis: { title: { text: "estimate − reference" + unit } } } };
}

function curves(data, picked, width) {
  const columns = width < 600 ? 1 : width < 1000 ? 2 : 4, rows = Math.ceil(data.curves.length / columns);
  const traces = [], layout = { height: Math.max(rows * (columns === 1 ? 190 : 210), 220), annotations: [], margin: { l: 40, r: 12, t: 28, b: 44 } };
  const gap = columns === 1 ? 0 : 0.055, wide = (1 - gap * (columns - 1)) / columns, space = 70 / layout.height, high = (1 - space * (rows - 1)) / rows;
  const dashes = ["solid", "dot", "dash", "dashdot", "longdash"], shades = [colour("mask"), colour("head"), colour("best"), colour("quiet"), colour("ink")];
  const names = { samples: "samples", seconds: "device-seconds", share: "% of the budget" };
  data.curves.forEach((method, place) => {
    const n = place ? String(place + 1) : "", column = place % columns, row = Math.floor(place / columns);
    const left = column * (wide + gap), top = 1 - row * (high + space);
    layout["xaxis" + n] = { domain: [left, left + wide], anchor: "y" + n, nticks: 4, title: { text: names[picked.axis], standoff: 4, font: { size: 11 } }, tickfont: { size: 10 }, automargin: false };
    layout["yaxis" + n] = { domain: [Math.max(0, top - high), Math.min(1, top)], anchor: "x" + n, nticks: 4, tickfont: { size: 10 }, automargin: false };
    layout.annotations.push({ text: short(method.title, width), x: left, y: Math.min(1, top), xref: "paper", yref: "paper", xanchor: "left", yanchor: "bottom", showarrow: false, font: { size: 12 } });
    const seeds = [...new Set(method.lines.map((l) => l.seed))], stages = [...new Set(method.lines.map((l) => l.stage))];
    for (const line of method.lines) traces.push({ x: line[picked.axis], y: line.loss, xaxis: "x" + n, yaxis: "y" + n, mode: line.loss.length > 1 ? "lines" : "markers",
      line: { width: 1.4, dash: dashes[stages.indexOf(line.stage) % 5], color: shades[seeds.indexOf(line.seed) % 5] }, marker: { size: 5, color: shades[seeds.indexOf(line.seed) % 5] },
      name: "", hovertemplate: "seed " + line.seed + ", " + plainText(line.stage) + "<br>%{x}: loss %{y}<extra></extra>" });
  });
  return { traces, layout };
}

const PLOTS = {
  forest: (data, picked, width) => forest(data.forest, picked, width),
  ablations: (data, picked, width) => forest(data.ablations, picked, width),
  cost, agreement, curves,
};
