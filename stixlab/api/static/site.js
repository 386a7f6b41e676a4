// Behaviour of the site: plots that came as documents, links that follow the zoom, ages, copying.
"use strict";
(() => {
  const seconds = [["year", 31557600], ["day", 86400], ["hour", 3600], ["minute", 60]];

  function age(since) {
    const passed = Math.max(0, (Date.now() - Date.parse(since)) / 1000);
    for (const [unit, length] of seconds) {
      if (passed >= length * (unit === "day" ? 2 : 1)) {
        const n = Math.floor(passed / length);
        return `${n.toLocaleString("en")} ${unit}${n === 1 ? "" : "s"}`;
      }
    }
    return "less than a minute";
  }

  function showAges() {
    for (const each of document.querySelectorAll("[data-since]")) each.textContent = age(each.dataset.since);
  }

  function isoOf(milliseconds) {
    return new Date(Math.round(milliseconds / 1000) * 1000).toISOString().slice(0, 19);
  }

  // On a narrow screen the legend stands upright, and texts that would be cut stay away.
  function fitToPhone(plot) {
    if (window.innerWidth > 700 || !plot.toolbar) return;
    plot.toolbar_location = "below";
    for (const panel of [...plot.above, ...plot.below, ...plot.center]) {
      if (panel.type === "Legend") {
        panel.orientation = "vertical";
        panel.label_text_font_size = "11px";
        panel.spacing = 0;
      } else if (panel.type === "Title") {
        panel.visible = false;
      }
    }
    if (plot.title) plot.title.text = String(plot.title.text).split(":")[0];
  }

  function followZoom(range, query) {
    const shown = { start: range.start, end: range.end };
    const zoomed = document.getElementById("zoomed");
    const permanent = document.getElementById("permanent");
    const links = document.querySelectorAll("[data-download]");
    const apply = () => {
      const whole = Math.abs(range.start - shown.start) < 1000 && Math.abs(range.end - shown.end) < 1000;
      const wanted = new URLSearchParams(query);
      if (!whole) {
        wanted.set("start", isoOf(range.start));
        wanted.set("end", isoOf(Math.max(range.end, range.start + 1000)));
      }
      const text = wanted.toString().replaceAll("%3A", ":");
      if (permanent) permanent.value = `${location.origin}${location.pathname}?${text}`;
      if (zoomed) {
        zoomed.hidden = whole;
        zoomed.href = `${location.pathname}?${text}`;
      }
      for (const link of links) link.href = `/api/v1/lightcurve?${text}&format=${link.dataset.download}`;
    };
    let waiting = 0;
    const later = () => { clearTimeout(waiting); waiting = setTimeout(apply, 150); };
    range.properties.start.change.connect(later);
    range.properties.end.change.connect(later);
    apply();
  }

  async function showPlot() {
    const data = document.getElementById("plot-document");
    if (!data || !window.Bokeh) return;
    const item = JSON.parse(data.textContent);
    item.target_id = "plot";
    await window.Bokeh.embed.embed_item(item);
    const shown = window.Bokeh.documents.at(-1);
    for (const root of shown.roots()) fitToPhone(root);
    const range = shown.get_model_by_name("stix-time");
    const permanent = document.getElementById("permanent");
    if (range && permanent) followZoom(range, new URL(permanent.value, location.href).search);
    document.body.dataset.plot = "shown";
  }

  function copyFrom(event) {
    const source = document.getElementById(event.currentTarget.dataset.copy);
    const button = event.currentTarget;
    const text = "value" in source ? source.value : source.textContent;
    const done = () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy"; }, 1500); };
    if (navigator.clipboard) navigator.clipboard.writeText(text).then(done, () => source.select && source.select());
    else if (source.select) { source.select(); document.execCommand("copy"); done(); }
  }

  document.addEventListener("DOMContentLoaded", () => {
    showAges();
    setInterval(showAges, 60000);
    for (const button of document.querySelectorAll("[data-copy]")) button.addEventListener("click", copyFrom);
    showPlot().catch((problem) => {
      document.body.dataset.plot = "failed";
      const place = document.getElementById("plot");
      if (place) place.textContent = "The plot cannot be drawn in this browser. The data can be downloaded below.";
      console.error(problem);
    });
  });
})();
