// Draws the plots whose data stand beside them as JSON, in the page's colours, when they come into view.
// What is drawn (points, frontier, labels, ranges) was decided when the page was made.
"use strict";

(() => {
  const colours = () => {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(`--${name}`).trim();
    const names = ["ground", "text", "muted", "line", "accent"];
    return { ...Object.fromEntries(names.map((name) => [name, read(name)])), series: read("series").split(/\s+/) };
  };
  const DASHES = ["solid", "dash", "dot", "dashdot"];
  const specs = new Map();

  const axis = (title, log, c) => ({
    title: { text: title, standoff: 8 },
    type: log ? "log" : "linear",
    gridcolor: c.line,
    linecolor: c.muted,
    tickcolor: c.muted,
    zeroline: false,
    showline: true,
    ticks: "outside",
    ticklen: 4,
    nticks: 6,
    ...(log ? { dtick: "D2" } : {}),
    automargin: true,
    minor: { ticks: log ? "outside" : "", ticklen: 2, tickcolor: c.muted },
  });

  const layout = (x, y, c) => ({
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: c.text },
    margin: { l: 52, r: 12, t: 8, b: 44 },
    xaxis: x,
    yaxis: y,
    hoverlabel: { bgcolor: c.ground, bordercolor: c.muted, font: { color: c.text }, align: "left" },
    hovermode: "closest",
    dragmode: false,
  });

  const escaped = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");

  const sizeOf = (canvas) => (canvas.clientWidth >= 480 ? "wide" : "narrow");

  function pareto(spec, c, size) {
    const range = (a) => (a.log ? [Math.log10(a.low), Math.log10(a.high)] : [a.low, a.high]);
    const error = (points, key) => ({
      type: "data",
      symmetric: false,
      array: points.map((point) => point[key][1]),
      arrayminus: points.map((point) => point[key][0]),
      color: c.muted,
      thickness: 1,
      width: 0,
    });
    const group = (points, marker) => ({
      type: "scatter",
      mode: "markers+text",
      x: points.map((point) => point.x),
      y: points.map((point) => point.y),
      error_x: error(points, "x_error"),
      error_y: error(points, "y_error"),
      text: points.map((point) => (point.sides[size] ? escaped(point.label) : "")),
      textposition: points.map((point) => point.sides[size] ?? "top right"),
      textfont: { size: 11, color: marker.text },
      hovertext: points.map((point) => escaped(point.hover).replaceAll("\n", "<br>")),
      hoverinfo: "text",
      customdata: points.map((point) => point.href),
      marker,
      showlegend: false,
    });
    const on = spec.points.filter((point) => point.on_frontier);
    const off = spec.points.filter((point) => !point.on_frontier && point.ranked);
    const unranked = spec.points.filter((point) => !point.ranked);
    const line = {
      type: "scatter",
      mode: "lines",
      x: spec.frontier.map((corner) => corner[0]),
      y: spec.frontier.map((corner) => corner[1]),
      line: { shape: "hv", color: c.accent, width: 1.5, dash: "dot" },
      hoverinfo: "skip",
      showlegend: false,
    };
    return {
      data: [
        line,
        group(unranked, { color: c.ground, size: 7, line: { color: c.muted, width: 1.5 }, text: c.muted }),
        group(off, { color: c.muted, size: 7, text: c.muted }),
        group(on, { color: c.accent, size: 8, text: c.text }),
      ],
      layout: layout(
        { ...axis(spec.x.title, spec.x.log, c), range: range(spec.x) },
        { ...axis(spec.y.title, spec.y.log, c), range: range(spec.y) },
        c,
      ),
    };
  }

  function series(spec, c) {
    const labels = [...new Set(spec.lines.map((line) => line.label))];
    const seen = new Set();
    const data = spec.lines.map((line) => {
      const index = labels.indexOf(line.label);
      const first = !seen.has(line.label);
      seen.add(line.label);
      return {
        type: "scatter",
        mode: line.points.length > 40 ? "lines" : "lines+markers",
        name: escaped(line.label),
        legendgroup: line.label,
        showlegend: first && labels.length > 1,
        x: line.points.map((point) => point[0]),
        y: line.points.map((point) => point[1]),
        line: {
          color: c.series[index % c.series.length],
          dash: DASHES[Math.floor(index / c.series.length) % DASHES.length],
          width: 1.5,
        },
        marker: { size: 5 },
      };
    });
    const xs = [...new Set(spec.lines.flatMap((line) => line.points.map((point) => point[0])))];
    const ticks = xs.length <= 8 ? { tickmode: "array", tickvals: xs, minor: {} } : {};
    const base = layout({ ...axis(spec.x_title, spec.x_log, c), ...ticks }, axis(spec.y_title, spec.y_log, c), c);
    return { data, layout: { ...base, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 11 } } } };
  }

  function draw(canvas) {
    const spec = specs.get(canvas);
    const { data, layout: arranged } = { pareto, series }[canvas.dataset.plot](spec, colours(), sizeOf(canvas));
    const first = !canvas.classList.contains("drawn");
    canvas.classList.add("drawn");
    canvas.dataset.size = sizeOf(canvas);
    Plotly.react(canvas, data, arranged, { responsive: true, displayModeBar: false, displaylogo: false, scrollZoom: false });
    if (first) {
      canvas.on("plotly_click", (event) => {
        const address = event.points[0].customdata;
        if (address) location.href = address;
      });
    }
  }

  const visible = (canvas) => canvas.offsetParent !== null;
  const nearing = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (entry.isIntersecting && visible(entry.target)) {
          nearing.unobserve(entry.target);
          draw(entry.target);
        }
      }
    },
    { rootMargin: "300px" },
  );

  const canvases = [...document.querySelectorAll("[data-plot]")];
  for (const canvas of canvases) {
    specs.set(canvas, JSON.parse(canvas.nextElementSibling.textContent));
    nearing.observe(canvas);
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const canvas of canvases) if (canvas.classList.contains("drawn")) draw(canvas);
  });
  addEventListener("resize", () => {
    for (const canvas of canvases) if (canvas.classList.contains("drawn") && visible(canvas) && canvas.dataset.size !== sizeOf(canvas)) draw(canvas);
  });
  addEventListener("beforeprint", () => canvases.filter(visible).forEach(draw));
})();
