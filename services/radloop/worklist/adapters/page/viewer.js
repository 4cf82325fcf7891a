// The image: 16-bit pixels on a canvas, window and level by dragging, zoom by wheel, the evidence map over it.

import { $ } from "./dom.js";

const MAP_EDGE = 192;
const STRONGEST = 0.62;

export class Viewer {
  constructor(changed) {
    this.canvas = $("canvas");
    this.context = this.canvas.getContext("2d");
    this.changed = changed;
    this.picture = document.createElement("canvas");
    this.overlay = null;
    this.overlayOn = false;
    this.header = null;
    this.queued = false;
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    this.listen();
  }

  clear() {
    this.header = null;
    this.overlay = null;
    this.draw();
  }

  load(header, buffer) {
    this.header = header;
    this.pixels = new Uint16Array(buffer);
    this.picture.width = header.columns;
    this.picture.height = header.rows;
    this.data = this.picture.getContext("2d").createImageData(header.columns, header.rows);
    this.reset();
  }

  // values: rows × columns over the whole stored frame, 0 to 1
  evidence(map) {
    this.overlay = map ? this.paintMap(map) : null;
    this.draw();
  }

  toggle(on = !this.overlayOn) {
    this.overlayOn = on;
    this.draw();
  }

  reset() {
    if (!this.header) return;
    this.center = this.header.window_center;
    this.width = Math.max(this.header.window_width, 1e-6);
    this.zoom = 1;
    this.dx = 0;
    this.dy = 0;
    this.develop();
  }

  // Turns stored pixels into grey values through a table of all 65,536 of them.
  develop() {
    const { slope, intercept, inverted } = this.header;
    const table = new Uint32Array(65536);
    const low = this.center - this.width / 2;
    for (let stored = 0; stored < 65536; stored++) {
      let grey = Math.round(((stored * slope + intercept - low) / this.width) * 255);
      grey = grey < 0 ? 0 : grey > 255 ? 255 : grey;
      if (inverted) grey = 255 - grey;
      table[stored] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
    }
    const target = new Uint32Array(this.data.data.buffer);
    for (let at = 0; at < target.length; at++) target[at] = table[this.pixels[at]];
    this.picture.getContext("2d").putImageData(this.data, 0, 0);
    this.draw();
  }

  draw() {
    if (this.queued) return;
    this.queued = true;
    requestAnimationFrame(() => { this.queued = false; this.paint(); });
  }

  paint() {
    const ratio = devicePixelRatio || 1;
    const width = Math.round(this.canvas.clientWidth * ratio);
    const height = Math.round(this.canvas.clientHeight * ratio);
    if (this.canvas.width !== width || this.canvas.height !== height) { this.canvas.width = width; this.canvas.height = height; }
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, width, height);
    if (!this.header) { this.changed(this); return; }
    const { rows, columns } = this.header;
    const scale = Math.min(width / columns, height / rows) * this.zoom;
    const left = (width - columns * scale) / 2 + this.dx * ratio;
    const top = (height - rows * scale) / 2 + this.dy * ratio;
    this.place = { left, top, scale };
    this.context.imageSmoothingEnabled = true;
    this.context.imageSmoothingQuality = "high";
    this.context.drawImage(this.picture, left, top, columns * scale, rows * scale);
    if (this.overlay && this.overlayOn) this.context.drawImage(this.overlay, left, top, columns * scale, rows * scale);
    this.changed(this);
  }

  // A coarse map, smoothed by a cubic B-spline: its cells must not look like anatomy. Amber, and transparent where there is nothing.
  paintMap({ rows, columns, values }) {
    const canvas = document.createElement("canvas");
    canvas.width = MAP_EDGE;
    canvas.height = MAP_EDGE;
    const context = canvas.getContext("2d");
    const image = context.createImageData(MAP_EDGE, MAP_EDGE);
    const across = weights(columns);
    const down = weights(rows);
    for (let y = 0; y < MAP_EDGE; y++) {
      for (let x = 0; x < MAP_EDGE; x++) {
        let value = 0;
        for (const [row, wy] of down[y]) for (const [column, wx] of across[x]) value += wy * wx * values[row][column];
        const strength = Math.min(Math.max(value, 0), 1);
        const at = 4 * (y * MAP_EDGE + x);
        image.data[at] = 255;
        image.data[at + 1] = 196 - 110 * strength;
        image.data[at + 2] = 84 - 50 * strength;
        image.data[at + 3] = 255 * STRONGEST * strength ** 1.5;
      }
    }
    context.putImageData(image, 0, 0);
    return canvas;
  }

  listen() {
    let held = null;
    this.canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    this.canvas.addEventListener("dblclick", () => this.reset());
    this.canvas.addEventListener("pointerdown", (event) => {
      if (!this.header) return;
      this.canvas.setPointerCapture(event.pointerId);
      held = { x: event.clientX, y: event.clientY, move: event.button !== 0 || event.shiftKey };
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!held || !this.header) return;
      const across = event.clientX - held.x;
      const down = event.clientY - held.y;
      held = { ...held, x: event.clientX, y: event.clientY };
      if (held.move) {
        this.dx += across;
        this.dy += down;
        this.draw();
        return;
      }
      const range = Math.max(this.header.high - this.header.low, 1e-6);
      this.width = Math.max(range / 500, this.width + (across * range) / 600);
      this.center += ((this.header.inverted ? -down : down) * range) / 600;
      this.develop();
    });
    for (const ended of ["pointerup", "pointercancel"]) this.canvas.addEventListener(ended, () => { held = null; });
    this.canvas.addEventListener("wheel", (event) => {
      if (!this.header) return;
      event.preventDefault();
      const factor = Math.exp(-event.deltaY / 600);
      const zoom = Math.min(Math.max(this.zoom * factor, 0.5), 12);
      const box = this.canvas.getBoundingClientRect();
      const x = event.clientX - box.left - box.width / 2 - this.dx;
      const y = event.clientY - box.top - box.height / 2 - this.dy;
      this.dx -= x * (zoom / this.zoom - 1);
      this.dy -= y * (zoom / this.zoom - 1);
      this.zoom = zoom;
      this.draw();
    }, { passive: false });
  }
}

// For each of MAP_EDGE places: which cells of `count` count, and how much (cubic B-spline, cell centres, edges held).
function weights(count) {
  return Array.from({ length: MAP_EDGE }, (_, place) => {
    const at = ((place + 0.5) / MAP_EDGE) * count - 0.5;
    const first = Math.floor(at);
    const t = at - first;
    const spline = [(1 - t) ** 3 / 6, (3 * t ** 3 - 6 * t ** 2 + 4) / 6, (-3 * t ** 3 + 3 * t ** 2 + 3 * t + 1) / 6, t ** 3 / 6];
    return spline.map((weight, index) => [Math.min(Math.max(first - 1 + index, 0), count - 1), weight]);
  });
}
