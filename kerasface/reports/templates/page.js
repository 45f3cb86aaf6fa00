"use strict";
(() => {
  const root = document.documentElement;
  const SVG = "http://www.w3.org/2000/svg";
  const KEY = "kerasface-theme";
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // A page that is opened from a disk may have no storage.
  const remember = (action) => { try { return action(localStorage); } catch { return null; } };
  const chosen = remember((storage) => storage.getItem(KEY));
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;

  function svg(name, attributes, parent, text) {
    const made = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  }

  function element(name, attributes, parent, text) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    if (parent) parent.append(made);
    return made;
  }

  function short(text, length) {
    const signs = Array.from(text);
    if (signs.length <= length) return text;
    const tail = Math.floor(length / 3);
    return signs.slice(0, length - tail - 1).join("") + "\u2026" +
      (tail ? signs.slice(-tail).join("") : "");
  }

  // ---------------------------------------------------------------- theme

  function setUpTheme() {
    const button = document.getElementById("theme");
    const isDark = () => (root.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
    const name = () => { button.textContent = isDark() ? "Light theme" : "Dark theme"; };
    button.hidden = false;
    button.addEventListener("click", () => {
      root.dataset.theme = isDark() ? "light" : "dark";
      remember((storage) => storage.setItem(KEY, root.dataset.theme));
      name();
    });
    dark.addEventListener("change", name);
    name();
  }

  // --------------------------------------------------------------- tables

  function sortRows(table, column, heads) {
    const head = heads[column];
    const numbers = head.classList.contains("number");
    const before = head.getAttribute("aria-sort");
    const first = numbers ? "descending" : "ascending";
    const second = numbers ? "ascending" : "descending";
    const order = before === first ? second : first;
    for (const other of heads) other.setAttribute("aria-sort", other === head ? order : "none");
    const sign = order === "ascending" ? 1 : -1;
    const key = (row) => {
      const cell = row.cells[column];
      if (!numbers) return cell.textContent.trim();
      return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
    };
    const body = table.tBodies[0];
    const rows = Array.from(body.rows, (row) => [key(row), row]);
    rows.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null); // missing ones last
      return sign * (numbers ? a - b : a.localeCompare(b, undefined, { numeric: true }));
    });
    body.append(...rows.map(([, row]) => row));
  }

  function setUpTable(table) {
    const heads = Array.from(table.tHead.rows[0].cells);
    heads.forEach((head, column) => {
      const button = element("button", { type: "button" }, null, head.textContent);
      head.replaceChildren(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => sortRows(table, column, heads));
    });
  }

  // --------------------------------------------------------------- charts

  function niceStep(range, count) {
    const rough = range / Math.max(1, count);
    const power = 10 ** Math.floor(Math.log10(rough));
    const part = rough / power;
    return power * (part < 1.5 ? 1 : part < 3 ? 2 : part < 7 ? 5 : 10);
  }

  function linearTicks(low, high, count, whole) {
    let step = niceStep(high - low || 1, count);
    if (whole) step = Math.max(1, Math.round(step));
    const ticks = [];
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) {
      ticks.push(Number((i * step).toPrecision(12)));
    }
    return ticks;
  }

  function logTicks(low, high) {
    const ticks = [];
    for (let i = Math.ceil(Math.log10(low) - 1e-9); 10 ** i <= high * 1.000001; i++) {
      ticks.push(Number((10 ** i).toPrecision(6)));
    }
    return ticks;
  }

  function format(value, form, exact) {
    if (value === null || value === undefined) return "\u2013";
    if (form === "percent") {
      const percent = Number((100 * value).toPrecision(exact ? 6 : 4));
      return exact ? `${percent.toFixed(2)}%` : `${percent}%`;
    }
    if (form === "whole") return String(Math.round(value));
    if (value === 0) return "0";
    const size = Math.abs(value);
    if (size < 1e-3 || size >= 1e5) {
      return value.toExponential(exact ? 3 : 1).replace(".0e", "e").replace("e+", "e");
    }
    return exact ? Number(value).toFixed(size >= 100 ? 1 : 4) : String(Number(value.toPrecision(4)));
  }

  function place(tip, box, x, y) {
    tip.hidden = false;
    const width = box.clientWidth;
    const left = x + 14 + tip.offsetWidth > width ? x - 14 - tip.offsetWidth : x + 14;
    tip.style.left = `${Math.max(0, Math.min(left, width - tip.offsetWidth))}px`;
    tip.style.top = `${Math.max(0, y - tip.offsetHeight / 2)}px`;
  }

  function fillTip(tip, title, rows) {
    tip.replaceChildren();
    element("b", {}, tip, title);
    for (const [color, text] of rows) {
      const row = element("span", {}, tip);
      if (color !== null) {
        const dot = element("i", {}, row);
        dot.style.background = `var(--s${color})`;
      }
      row.append(text);
    }
  }

  /** Redraws on every new width; a redraw inside the observer itself would be an error. */
  function onWidth(box, draw) {
    let last = 0;
    new ResizeObserver(() => requestAnimationFrame(() => {
      if (box.clientWidth && box.clientWidth !== last) {
        last = box.clientWidth;
        draw();
      }
    })).observe(box);
  }

  function readable(box, label) {
    const drawing = svg("svg", {
      tabindex: 0, role: "slider", "aria-label": label, "aria-valuemin": 0, "aria-valuenow": 0,
    }, box);
    const tip = element("div", { class: "tip", "aria-hidden": "true", hidden: "" }, box);
    return [drawing, tip];
  }

  class LinePanel {
    constructor(panel, parent) {
      this.panel = panel;
      this.box = element("div", { class: "panel" }, parent);
      element("h3", {}, this.box, panel.title);
      this.area = element("div", { class: "panel" }, this.box);
      const label = `${panel.title} over ${panel.x}. Left and right arrow keys read the values.`;
      [this.svg, this.tip] = readable(this.area, label);
      const places = new Set(panel.series.flatMap((line) => line.points.map(([x]) => x)));
      this.places = Array.from(places).sort((a, b) => a - b);
      this.index = this.places.length - 1;
      this.svg.setAttribute("aria-valuemax", Math.max(0, this.places.length - 1));
      this.svg.setAttribute("aria-valuenow", Math.max(0, this.index));
      this.svg.setAttribute("aria-valuetext", this.texts(this.index).join(", "));
      onWidth(this.area, () => this.draw());
      this.svg.addEventListener("pointermove", (event) => this.point(event));
      this.svg.addEventListener("pointerdown", (event) => this.point(event));
      this.svg.addEventListener("pointerleave", () => this.hide());
      this.svg.addEventListener("focus", () => {
        if (this.svg.matches(":focus-visible")) this.show(this.index);
      });
      this.svg.addEventListener("blur", () => this.hide());
      this.svg.addEventListener("keydown", (event) => this.key(event));
    }

    limits() {
      const { panel } = this;
      const values = panel.series.flatMap((line) => line.points.map(([, y]) => y));
      let low = panel.low ?? Math.min(...values, Infinity);
      let high = panel.high ?? Math.max(...values, -Infinity);
      if (!Number.isFinite(low) || !Number.isFinite(high)) [low, high] = [0, 1];
      if (low === high) [low, high] = [low - Math.abs(low || 1) / 2, high + Math.abs(high || 1) / 2];
      const room = 0.06 * (high - low);
      return [panel.low ?? low - room, panel.high ?? high + room];
    }

    draw() {
      const { panel, svg: drawing } = this;
      const width = this.area.clientWidth;
      const height = panel.tall ? Math.min(420, Math.max(280, width * 0.62)) : 240;
      const [low, high] = this.limits();
      const wide = { left: 54, right: panel.xForm === "percent" ? 24 : 14, top: 12, bottom: 40 };
      const first = panel.first ?? this.places[0] ?? 0;
      let last = panel.last ?? this.places[this.places.length - 1] ?? 1;
      if (last === first) last = first + 1;
      const along = panel.log
        ? (x) => (Math.log(x) - Math.log(first)) / (Math.log(last) - Math.log(first))
        : (x) => (x - first) / (last - first);
      this.x = (x) => wide.left + along(x) * (width - wide.left - wide.right);
      this.y = (y) => height - wide.bottom - (y - low) / (high - low) *
        (height - wide.top - wide.bottom);
      this.size = [width, height, wide];
      drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
      drawing.replaceChildren();
      if (panel.few) this.drawFew(first);
      this.drawAxes(low, high, first, last);
      for (const line of panel.series) this.drawLine(line);
      this.cursor = svg("g", {}, drawing);
      if (!this.tip.hidden) this.show(this.index);
    }

    drawFew(first) {
      const [, height, wide] = this.size;
      const end = this.x(Math.min(1, this.panel.few.until));
      svg("rect", {
        class: "few", x: this.x(first), y: wide.top, width: Math.max(0, end - this.x(first)),
        height: height - wide.top - wide.bottom,
      }, this.svg);
      if (end - this.x(first) < 150) return; // the note below the chart says it too
      svg("text", {
        x: (end + this.x(first)) / 2,
        y: this.panel.series.some((line) => line.points.length && line.points[0][1] < 0.3)
          ? wide.top + 16 : height - wide.bottom - 7,
        "text-anchor": "middle",
      }, this.svg, this.panel.few.text);
    }

    drawAxes(low, high, first, last) {
      const { panel, svg: drawing } = this;
      const [width, height, wide] = this.size;
      for (const tick of linearTicks(low, high, 5)) {
        const y = this.y(tick);
        svg("line", { class: "grid", x1: wide.left, x2: width - wide.right, y1: y, y2: y }, drawing);
        svg("text", { x: wide.left - 7, y: y + 4, "text-anchor": "end" }, drawing,
          format(tick, panel.form));
      }
      const ticks = panel.log ? logTicks(first, last)
        : linearTicks(first, last, Math.max(2, Math.floor(width / 55)), panel.xForm === "whole");
      for (const tick of ticks) {
        const x = this.x(tick);
        svg("line", { class: "grid", x1: x, x2: x, y1: wide.top, y2: height - wide.bottom }, drawing);
        svg("text", { x, y: height - wide.bottom + 16, "text-anchor": "middle" }, drawing,
          format(tick, panel.xForm));
      }
      svg("line", {
        class: "axis", x1: wide.left, x2: width - wide.right,
        y1: height - wide.bottom, y2: height - wide.bottom,
      }, drawing);
      svg("text", {
        x: (wide.left + width - wide.right) / 2, y: height - 6, "text-anchor": "middle",
      }, drawing, short(panel.x, Math.floor(width / 7)));
    }

    drawLine(line) {
      const steps = [];
      let before = null;
      for (const [x, y] of line.points) {
        const at = `${this.x(x).toFixed(1)},${this.y(y).toFixed(1)}`;
        if (before && this.panel.step) steps.push(`${this.x(x).toFixed(1)},${before}`);
        steps.push(at);
        before = this.y(y).toFixed(1);
      }
      const kind = `s${line.color} d${line.dash || 0}`;
      if (steps.length > 1) {
        svg("path", { class: `line ${kind}`, d: `M${steps.join("L")}` }, this.svg);
      }
      if (line.points.length === 1 || line.dots) {
        for (const [x, y] of line.points) {
          svg("circle", { class: `s${line.color}`, cx: this.x(x), cy: this.y(y), r: 3.5 }, this.svg);
        }
      }
      if (line.best !== undefined && line.best !== null) {
        const [x, y] = line.points[line.best];
        svg("circle", {
          class: `s${line.color} best`, cx: this.x(x), cy: this.y(y), r: 6,
        }, this.svg);
      }
    }

    value(line, x) {
      let found = null;
      for (const [at, y] of line.points) {
        if (at === x || (this.panel.step && at <= x)) found = y;
      }
      return found;
    }

    texts(index) {
      const { panel } = this;
      const x = this.places[index];
      if (x === undefined) return ["no values"];
      const rows = panel.series.map((line) => [line, this.value(line, x)]);
      return [`${panel.x} ${format(x, panel.xForm, panel.xForm !== "whole")}`].concat(
        rows.filter(([, y]) => y !== null).map(
          ([line, y]) => `${line.name}: ${format(y, panel.form, true)}`));
    }

    show(index) {
      const { panel } = this;
      const x = this.places[index];
      if (x === undefined || !this.size) return;
      this.index = index;
      const [, height, wide] = this.size;
      this.cursor.replaceChildren();
      const at = this.x(x);
      svg("line", {
        class: "cursor", x1: at, x2: at, y1: wide.top, y2: height - wide.bottom,
      }, this.cursor);
      const rows = panel.series.map((line) => [line, this.value(line, x)])
        .filter(([, y]) => y !== null);
      for (const [line, y] of rows) {
        svg("circle", { class: `s${line.color}`, cx: at, cy: this.y(y), r: 4.5 }, this.cursor);
      }
      const texts = this.texts(index);
      fillTip(this.tip, texts[0], rows.map(([line], row) => [line.color, texts[row + 1]]));
      place(this.tip, this.area, at, height / 2);
      this.svg.setAttribute("aria-valuenow", index);
      this.svg.setAttribute("aria-valuetext", texts.join(", "));
    }

    point(event) {
      if (!this.x) return;
      const box = this.svg.getBoundingClientRect();
      const x = (event.clientX - box.left) * this.size[0] / box.width;
      let best = 0;
      this.places.forEach((value, index) => {
        if (Math.abs(this.x(value) - x) < Math.abs(this.x(this.places[best]) - x)) best = index;
      });
      this.show(best);
    }

    key(event) {
      const last = this.places.length - 1;
      const moves = {
        ArrowLeft: this.index - 1, ArrowDown: this.index - 1, ArrowRight: this.index + 1,
        ArrowUp: this.index + 1, Home: 0, End: last, PageDown: this.index - 10,
        PageUp: this.index + 10,
      };
      if (event.key === "Escape") this.hide();
      if (!(event.key in moves)) return;
      event.preventDefault();
      this.show(Math.max(0, Math.min(last, moves[event.key])));
    }

    hide() {
      this.tip.hidden = true;
      if (this.cursor) this.cursor.replaceChildren();
    }
  }

  function drawLines(figure, data) {
    const named = new Map();
    for (const panel of data.panels) {
      // The title of a panel with one line says enough.
      if (panel.series.length === 1) continue;
      for (const line of panel.series) named.set(line.name, line);
    }
    if (named.size || data.best) {
      const legend = element("ul", { class: "legend" }, figure);
      for (const line of named.values()) {
        const item = element("li", {}, legend);
        const swatch = svg("svg", { width: 26, height: 10, "aria-hidden": "true" }, item);
        svg("line", {
          class: `line s${line.color} d${line.dash || 0}`, x1: 0, x2: 26, y1: 5, y2: 5,
        }, swatch);
        element("bdi", {}, item, line.label || line.name);
      }
      if (data.best) {
        const item = element("li", {}, legend);
        const swatch = svg("svg", { width: 12, height: 12, "aria-hidden": "true" }, item);
        svg("circle", { class: `s${data.bestColor}`, cx: 6, cy: 6, r: 5 }, swatch);
        item.append(data.best);
      }
    }
    const panels = element("div", {
      class: data.panels.length === 1 ? "panels single" : "panels",
    }, figure);
    for (const panel of data.panels) new LinePanel(panel, panels);
  }

  class Matrix {
    constructor(figure, data) {
      this.data = data;
      this.counts = new Map(data.cells.map(([row, column, count]) => [`${row},${column}`, count]));
      const legend = element("ul", { class: "legend" }, figure);
      for (const [color, text] of [[0, "correct"], [1, "mistakes"]]) {
        const item = element("li", {}, legend);
        const swatch = svg("svg", { width: 12, height: 12, "aria-hidden": "true" }, item);
        svg("rect", { class: `s${color}`, width: 12, height: 12, rx: 2 }, swatch);
        item.append(text);
      }
      this.area = element("div", { class: "panel matrix" }, figure);
      const label = "Confusion matrix. Arrow keys move from cell to cell and read the counts.";
      [this.svg, this.tip] = readable(this.area, label);
      this.cell = [0, 0];
      this.svg.setAttribute("aria-valuemax", data.names.length ** 2 - 1);
      this.svg.setAttribute("aria-valuetext", this.texts().join(", "));
      onWidth(this.area, () => this.draw());
      this.svg.addEventListener("pointermove", (event) => this.point(event));
      this.svg.addEventListener("pointerdown", (event) => this.point(event));
      this.svg.addEventListener("pointerleave", () => this.hide());
      this.svg.addEventListener("focus", () => {
        if (this.svg.matches(":focus-visible")) this.show(...this.cell);
      });
      this.svg.addEventListener("blur", () => this.hide());
      this.svg.addEventListener("keydown", (event) => this.key(event));
    }

    draw() {
      const { names, cells, totals } = this.data;
      const size = names.length;
      const width = this.area.clientWidth;
      const longest = Math.min(22, Math.max(...names.map((name) => Array.from(name).length)));
      const room = Math.min(0.34 * width, 34 + 6.8 * longest);
      let side = Math.min(46, (width - room - 6) / size);
      const named = side >= 11;
      const left = named ? room : 24;
      if (!named) side = (width - left - 6) / size;
      const top = 6;
      const length = Math.max(4, Math.floor((left - 30) / 6.6));
      const end = top + side * size;
      const height = end + (named ? left : 24);
      Object.assign(this, { left, top, side });
      const drawing = this.svg;
      drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
      drawing.replaceChildren();
      const numbered = side >= 19;
      for (const [row, column, count] of cells) {
        const share = count / Math.max(1, totals[row]);
        const rect = svg("rect", {
          class: `cell s${row === column ? 0 : 1}`, x: left + column * side, y: top + row * side,
          width: side, height: side,
        }, drawing);
        // A cell of a few percent must be visible by its color alone.
        rect.style.setProperty("--share", Math.sqrt(share).toFixed(3));
        if (numbered && String(count).length * 7 < side) {
          svg("text", {
            class: "inside", x: left + (column + 0.5) * side, y: top + (row + 0.5) * side + 4,
            "text-anchor": "middle",
          }, drawing, count);
        }
      }
      this.drawFrame(size, end);
      if (named) this.drawNames(length, end);
      svg("text", {
        x: left + side * size / 2, y: height - 4, "text-anchor": "middle",
      }, drawing, "predicted class");
      svg("text", {
        transform: `translate(12 ${top + side * size / 2}) rotate(-90)`, "text-anchor": "middle",
      }, drawing, "true class");
      this.marker = svg("g", {}, drawing);
    }

    drawFrame(size, end) {
      const step = this.side >= 6 ? 1 : size;
      for (let i = 0; i <= size; i += step) {
        const at = i * this.side;
        const right = this.left + size * this.side;
        svg("line", {
          class: "grid", x1: this.left, x2: right, y1: this.top + at, y2: this.top + at,
        }, this.svg);
        svg("line", {
          class: "grid", x1: this.left + at, x2: this.left + at, y1: this.top, y2: end,
        }, this.svg);
      }
    }

    drawNames(length, end) {
      this.data.names.forEach((name, place) => {
        const middle = (place + 0.5) * this.side;
        svg("text", {
          x: this.left - 6, y: this.top + middle + 4, "text-anchor": "end",
        }, this.svg, short(name, length));
        svg("text", {
          transform: `translate(${this.left + middle + 4} ${end + 6}) rotate(-90)`,
          "text-anchor": "end",
        }, this.svg, short(name, length));
      });
    }

    texts() {
      const [row, column] = this.cell;
      const { names, totals } = this.data;
      const count = this.counts.get(`${row},${column}`) || 0;
      const share = totals[row] ? ` (${(100 * count / totals[row]).toFixed(1)}% of the class)` : "";
      const images = count === 1 ? "1 image" : `${count} images`;
      return [`true: ${names[row]}`, `predicted: ${names[column]}`, images + share];
    }

    show(row, column) {
      this.cell = [row, column];
      if (!this.marker) return;
      this.marker.replaceChildren();
      const x = this.left + column * this.side;
      const y = this.top + row * this.side;
      svg("rect", { class: "pick", x, y, width: this.side, height: this.side }, this.marker);
      const texts = this.texts();
      fillTip(this.tip, texts[2], [[null, texts[0]], [null, texts[1]]]);
      place(this.tip, this.area, x + this.side, y + this.side / 2);
      this.svg.setAttribute("aria-valuenow", row * this.data.names.length + column);
      this.svg.setAttribute("aria-valuetext", texts.join(", "));
    }

    point(event) {
      if (!this.side) return;
      const box = this.svg.getBoundingClientRect();
      const ratio = this.area.clientWidth / box.width;
      const column = Math.floor(((event.clientX - box.left) * ratio - this.left) / this.side);
      const row = Math.floor(((event.clientY - box.top) * ratio - this.top) / this.side);
      const size = this.data.names.length;
      const inside = row >= 0 && column >= 0 && row < size && column < size;
      if (inside) this.show(row, column); else this.hide();
    }

    key(event) {
      const last = this.data.names.length - 1;
      const [row, column] = this.cell;
      const moves = {
        ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1], ArrowUp: [row - 1, column],
        ArrowDown: [row + 1, column], Home: [row, 0], End: [row, last],
      };
      if (event.key === "Escape") this.hide();
      if (!(event.key in moves)) return;
      event.preventDefault();
      this.show(...moves[event.key].map((value) => Math.max(0, Math.min(last, value))));
    }

    hide() {
      this.tip.hidden = true;
      if (this.marker) this.marker.replaceChildren();
    }
  }

  function setUpChart(figure) {
    const data = JSON.parse(figure.querySelector("script").textContent);
    const place = element("div", {});
    figure.querySelector("noscript").after(place);
    if (data.kind === "lines") drawLines(place, data);
    else new Matrix(place, data);
  }

  // The navigation shows which section is being read.
  function setUpNavigation() {
    const links = new Map(Array.from(document.querySelectorAll("nav a"), (link) =>
      [link.getAttribute("href").slice(1), link]));
    const watcher = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        for (const [name, link] of links) {
          link.classList.toggle("here", name === entry.target.id);
          if (name === entry.target.id) link.setAttribute("aria-current", "true");
          else link.removeAttribute("aria-current");
        }
      }
    }, { rootMargin: "-5% 0px -80% 0px" });
    for (const section of document.querySelectorAll("main > section")) watcher.observe(section);
  }

  document.addEventListener("DOMContentLoaded", () => {
    setUpTheme();
    document.querySelectorAll("table.sortable").forEach(setUpTable);
    document.querySelectorAll("figure.chart").forEach(setUpChart);
    setUpNavigation();
  });
})();
