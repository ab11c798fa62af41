"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const $ = (id) => document.getElementById(id);
  const count = data.names.length, ROW = 52, SPARE = 8;
  const grave = { C: 0, B: 1, A: 2 };
  const blank = "n/a";

  const values = (side) => data.volumes[$("unit").value][`${side} ${$("structure").value}`];
  const number = (column) => ({ get: (k) => column()[k], words: (k) => { const v = column()[k]; return v === null ? blank : String(v); } });
  const columns = [
    { id: "picture", title: "", width: "11%", plain: true },
    { id: "name", title: "Case", width: "14%", left: true, get: (k) => rank[k] },
    { id: "rating", title: "Rating", width: "6%", left: true, get: (k) => grave[data.text.rating[k]] },
    { id: "flags", title: "Flags", width: "27%", left: true, get: (k) => data.flags[k].length },
    { id: "age", title: "Age", width: "6%", ...number(() => data.numbers.age) },
    { id: "sex", title: "Sex", width: "5%", left: true, get: (k) => data.text.sex[k] },
    { id: "site", title: "Site", width: "8%", left: true, get: (k) => data.text.site[k] },
    { id: "icv", title: "ICV, cm³", width: "7%", ...number(() => data.numbers.icv_cm3) },
    { id: "left", title: "Left", width: "8%", ...number(() => ofLeft) },
    { id: "right", title: "Right", width: "8%", ...number(() => ofRight) },
  ];
  const byId = Object.fromEntries(columns.map((column) => [column.id, column]));
  let sorting = { id: "rating", down: false }, shown = [], both = [], ofLeft = [], ofRight = [];

  const head = document.querySelector("#cases-table thead tr"), body = document.querySelector("#cases-table tbody");
  for (const column of columns) {
    const cell = document.createElement("th");
    cell.scope = "col"; cell.style.width = column.width; cell.id = `column-${column.id}`;
    if (column.left) cell.className = "left";
    if (!column.plain) {
      const button = document.createElement("button");
      button.type = "button"; button.textContent = column.title;
      button.addEventListener("click", () => {
        sorting = { id: column.id, down: sorting.id === column.id ? !sorting.down : column.id === "flags" };
        resort();
      });
      cell.append(button);
    } else { cell.setAttribute("aria-label", "Picture"); }
    head.append(cell);
  }

  const collator = new Intl.Collator("en", { numeric: true });
  const rank = new Int32Array(count);
  [...data.names.keys()].sort((a, b) => collator.compare(data.names[a], data.names[b])).forEach((k, place) => { rank[k] = place; });

  function refresh() {
    const wanted = $("find").value.trim().toLowerCase(), rating = $("rating").value, site = $("site").value;
    shown = [];
    for (let k = 0; k < count; k++) {
      if (rating && data.text.rating[k] !== rating) continue;
      if (site && data.text.site[k] !== site) continue;
      if (wanted && !data.names[k].toLowerCase().includes(wanted) && !data.flags[k].some((f) => f.toLowerCase().includes(wanted))) continue;
      shown.push(k);
    }
    both = values("both"); ofLeft = values("left"); ofRight = values("right");
    for (const side of ["left", "right"]) {
      const unit = $("unit").value === "cm3" ? "cm³" : "% ICV";
      $(`column-${side}`).firstChild.textContent = `${byId[side].title}, ${unit}`;
    }
    $("count").textContent = `${shown.length} of ${count} cases`;
    $("cases-table").setAttribute("aria-rowcount", String(shown.length + 1));
    resort();
    requestAnimationFrame(plots);
  }

  function resort() {
    const get = byId[sorting.id].get, sign = sorting.down ? -1 : 1, byRating = sorting.id === "rating";
    const keys = new Array(count);
    for (const k of shown) keys[k] = get(k);
    shown.sort((a, b) => {
      const x = keys[a], y = keys[b];
      if (x !== y) return x === null ? 1 : y === null ? -1 : x < y ? -sign : sign;
      return (byRating ? data.flags[b].length - data.flags[a].length : 0) || rank[a] - rank[b];
    });
    for (const column of columns) {
      if (column.plain) continue;
      const cell = $(`column-${column.id}`);
      if (column.id === sorting.id) cell.setAttribute("aria-sort", sorting.down ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
    $("frame").scrollTop = 0;
    rows();
  }

  function cell(text, left) {
    const made = document.createElement("td");
    if (left) made.className = "left";
    made.textContent = text; made.title = text;
    return made;
  }

  function row(k, place) {
    const line = document.createElement("tr");
    line.setAttribute("aria-rowindex", String(place + 2));
    line.dataset.name = data.names[k];
    const picture = document.createElement("td");
    if (data.thumbs[k]) {
      const image = document.createElement("img");
      image.src = data.thumbs[k]; image.alt = `Labels of ${data.names[k]} in three planes`;
      picture.append(image);
    }
    const name = cell(data.pages[k] ? "" : data.names[k], true);
    if (data.pages[k]) {
      const link = document.createElement("a");
      link.href = data.pages[k]; link.textContent = data.names[k];
      name.append(link); name.title = data.names[k];
    }
    const rating = cell("", true), badge = document.createElement("span");
    badge.className = `badge ${data.text.rating[k]}`; badge.textContent = data.text.rating[k];
    rating.append(badge);
    const flags = cell("", false), words = document.createElement("span");
    flags.className = "flags"; words.textContent = data.flags[k].join(" "); flags.title = data.flags[k].join("\n");
    flags.append(words);
    line.append(picture, name, rating, flags, cell(byId.age.words(k)), cell(data.text.sex[k], true), cell(data.text.site[k], true),
      cell(byId.icv.words(k)), cell(byId.left.words(k)), cell(byId.right.words(k)));
    return line;
  }

  function space(height) {
    const line = document.createElement("tr"), filler = document.createElement("td");
    line.className = "space"; line.setAttribute("aria-hidden", "true");
    filler.colSpan = columns.length; filler.style.height = `${height}px`;
    line.append(filler);
    return line;
  }

  function rows() {
    const frame = $("frame");
    const first = Math.max(0, Math.floor(frame.scrollTop / ROW) - SPARE);
    const last = Math.min(shown.length, first + Math.ceil(frame.clientHeight / ROW) + 2 * SPARE);
    const made = shown.slice(first, last).map((k, place) => row(k, first + place));
    body.replaceChildren(space(first * ROW), ...made, space((shown.length - last) * ROW));
  }

  let waiting = false;
  $("frame").addEventListener("scroll", () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => { waiting = false; rows(); });
  }, { passive: true });

  const sites = [...new Set(data.text.site)].sort(collator.compare);
  for (const site of sites) { const option = document.createElement("option"); option.textContent = site; $("site").append(option); }
  for (const id of ["rating", "site", "structure", "unit"]) $(id).addEventListener("change", refresh);
  $("find").addEventListener("input", refresh);
  document.querySelector("form.filters").addEventListener("submit", (event) => event.preventDefault());

  const SEX = { F: "#c8500a", M: "#1f5fa8" };
  const GROUP = { female: "#c8500a", male: "#1f5fa8", all: "#777777" };

  function canvas(id) {
    const made = $(id), ratio = window.devicePixelRatio || 1;
    made.width = made.clientWidth * ratio; made.height = made.clientHeight * ratio;
    const pen = made.getContext("2d");
    pen.scale(ratio, ratio);
    pen.font = "12px system-ui, sans-serif";
    return { pen, width: made.clientWidth, height: made.clientHeight, ink: getComputedStyle(document.body).color };
  }

  function ticks(low, high, about) {
    const raw = (high - low) / about || 1, power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * power).find((m) => m >= raw), found = [];
    for (let v = Math.ceil(low / step) * step; v <= high + 1e-9; v += step) found.push(Number(v.toPrecision(6)));
    return found;
  }

  function range(list) {
    let low = Infinity, high = -Infinity;
    for (const v of list) if (v !== null) { if (v < low) low = v; if (v > high) high = v; }
    if (low > high) return [0, 1];
    const room = (high - low || 1) * 0.05;
    return [low - room, high + room];
  }

  function scale([low, high], from, to) { return (v) => from + ((v - low) / (high - low)) * (to - from); }

  function axes({ pen, width, height, ink }, y, yRange) {
    pen.fillStyle = ink; pen.strokeStyle = ink; pen.globalAlpha = 0.75; pen.textAlign = "right";
    for (const v of ticks(...yRange, 5)) pen.fillText(String(v), 50, y(v) + 4);
    pen.textAlign = "left";
    pen.fillText($("unit").value === "cm3" ? `${$("structure").value}, both sides, cm³` : `${$("structure").value}, both sides, % of ICV`, 8, 14);
    pen.globalAlpha = 0.3;
    pen.beginPath(); pen.moveTo(56, 20); pen.lineTo(56, height - 24); pen.lineTo(width - 8, height - 24); pen.stroke();
    pen.globalAlpha = 1;
  }

  function dot(pen, x, y, k) {
    pen.fillStyle = SEX[data.text.sex[k]] || "#777777";
    pen.globalAlpha = shown.length > 1000 ? 0.35 : 0.65;
    pen.fillRect(x - 1.5, y - 1.5, 3, 3);
    if (data.text.rating[k] !== "A") { pen.globalAlpha = 0.8; pen.strokeStyle = pen.fillStyle; pen.beginPath(); pen.arc(x, y, 4, 0, 7); pen.stroke(); }
    pen.globalAlpha = 1;
  }

  function byAge() {
    const c = canvas("by-age"), { pen, width, height } = c;
    const people = shown.filter((k) => data.numbers.age[k] !== null && both[k] !== null);
    const curves = $("unit").value === "cm3" ? data.curves[`both ${$("structure").value}`] || {} : {};
    const drawn = Object.keys(curves).length > 1 ? Object.keys(curves).filter((g) => g !== "all") : Object.keys(curves);
    const xs = people.map((k) => data.numbers.age[k]), ys = people.map((k) => both[k]);
    for (const g of drawn) for (const [age, , low, high] of curves[g]) { xs.push(age); ys.push(low, high); }
    const xRange = range(xs), yRange = range(ys), x = scale(xRange, 56, width - 8), y = scale(yRange, height - 24, 20);
    axes(c, y, yRange);
    pen.fillStyle = c.ink; pen.textAlign = "center";
    for (const v of ticks(...xRange, 7)) pen.fillText(String(v), x(v), height - 8);
    if (!people.length) { pen.fillText("No ages are known.", width / 2, height / 2); return; }
    for (const k of people) dot(pen, x(data.numbers.age[k]), y(both[k]), k);
    for (const g of drawn) for (const [place, wide] of [[1, 2], [2, 1], [3, 1]]) {
      pen.strokeStyle = GROUP[g]; pen.lineWidth = wide; pen.beginPath();
      curves[g].forEach((point, n) => (n ? pen.lineTo(x(point[0]), y(point[place])) : pen.moveTo(x(point[0]), y(point[place]))));
      pen.stroke();
    }
    pen.lineWidth = 1;
  }

  function bySite() {
    const c = canvas("by-site"), { pen, width, height } = c;
    const yRange = range(shown.map((k) => both[k])), y = scale(yRange, height - 24, 20);
    axes(c, y, yRange);
    const step = (width - 64) / sites.length, place = new Map(sites.map((s, n) => [s, 60 + (n + 0.5) * step]));
    pen.fillStyle = c.ink; pen.textAlign = "center";
    for (const s of sites) { pen.globalAlpha = 0.75; pen.fillText(s, place.get(s), height - 8, step - 4); }
    for (const k of shown) if (both[k] !== null) dot(pen, place.get(data.text.site[k]) + (((k * 0.618034) % 1) - 0.5) * step * 0.7, y(both[k]), k);
  }

  function plots() { byAge(); bySite(); }
  window.addEventListener("resize", () => requestAnimationFrame(plots));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", plots);
  refresh();
})();
