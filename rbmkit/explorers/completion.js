// Complete a digit: chains of block Gibbs sampling with held pixels, in any page, without Python.
//
// One file for all places. JupyterLab loads it as an anywidget; the book and `run.py explore` call
// `render` themselves. The random numbers are those of rbmkit/kernels/draws.py, so that both draw
// the same states from the same model.

const CHAINS = 8, SIDE = 28, BUDGET = 12;  // milliseconds of work per picture on the screen
const MASK = (1n << 64n) - 1n;

// ---- random numbers
// unit j of a layer (0: hidden, 1: visible) at a step of a chain sees a hash of key and j
function mix64(x) {
  x = ((x ^ (x >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  x = ((x ^ (x >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return x ^ (x >> 31n);
}

export function streamKey(seed, step, layer, chain) {
  const half = BigInt(2 * step + layer + 1);
  const key = mix64((BigInt(seed) + 0x9e3779b97f4a7c15n * half) & MASK);
  const both = mix64((key + 0xd1b54a32d192ed03n * BigInt(chain + 1)) & MASK);
  return [Number(both & 0xffffffffn) | 0, Number(both >> 32n) | 0];
}

export function word(key, j) {
  let x = (key[0] + Math.imul(j, 0x9e3779b9)) | 0;
  x = (Math.imul(x ^ (x >>> 16), 0x21f0aaad) + key[1]) | 0;
  x = Math.imul(x ^ (x >>> 15), 0xd35a2d97);
  return (x ^ (x >>> 15)) >>> 0;
}

// ---- the model
function float16(bits) {
  const size = (bits >> 10) & 31, rest = bits & 1023;
  const value = size ? (1 + rest / 1024) * 2 ** (size - 15) : rest * 2 ** -24;
  return bits >> 15 ? -value : value;
}

// bytes: N, M and the number of digits; a and b (float32); W (float16, N rows); the digits (a byte
// per pixel)
export function unpack(bytes) {
  const buffer = bytes.buffer, at = bytes.byteOffset;
  const [N, M, n] = new Uint32Array(buffer.slice(at, at + 12));
  const fields = new Float32Array(buffer.slice(at + 12, at + 12 + 4 * (N + M)));
  const end = at + 12 + 4 * (N + M);
  const stored = new Uint16Array(buffer.slice(end, end + 2 * N * M));
  const W = new Float32Array((N + 1) * M), Wt = new Float32Array(N * (M + 1));
  for (let i = 0, k = 0; i < N; i++) {
    for (let j = 0; j < M; j++, k++) W[k] = Wt[j * N + i] = float16(stored[k]);
  }
  const digits = new Uint8Array(buffer.slice(end + 2 * N * M, end + 2 * N * M + n * N));
  const pictures = Array.from({ length: n }, (_, k) => digits.subarray(k * N, (k + 1) * N));
  return { N, M, W, Wt, a: fields.subarray(0, N), b: fields.subarray(N), pictures };
}

// ---- sampling
export class Chains {
  // from random pixels; where `held` is 1, they are those of `picture` and stay
  constructor(rbm, picture, held, seed) {
    Object.assign(this, { rbm, picture, held, seed, steps: 0 });
    this.v = Array.from({ length: CHAINS }, (_, c) => {
      const key = streamKey(BigInt(seed) + 1n, 0, 0, c);
      return Uint8Array.from(picture, (ink, i) => (held[i] ? ink : word(key, i) & 1));
    });
    this.h = this.v.map(() => new Uint8Array(rbm.M));
    this.mean = this.v.map((v) => Float32Array.from(v));
  }

  step() {
    const { rbm, picture, held, seed, steps } = this;
    for (let c = 0; c < CHAINS; c++) {
      const v = this.v[c], h = this.h[c], mean = this.mean[c];
      draw(rbm.W, rbm.b, v, h, streamKey(seed, steps, 0, c));
      draw(rbm.Wt, rbm.a, h, v, streamKey(seed, steps, 1, c), mean);
      for (let i = 0; i < rbm.N; i++) if (held[i]) mean[i] = v[i] = picture[i];
    }
    this.steps++;
  }
}

// draws a layer given the other; `mean` receives the probabilities of 1
function draw(W, bias, given, drawn, key, mean) {
  const field = fields(W, bias, given);
  for (let j = 0; j < drawn.length; j++) {
    const z = field[j], e = Math.exp(-Math.abs(z));
    const u = Math.fround((word(key, j) >>> 1) + 0.5) * 2 ** -31;
    drawn[j] = (u * (1 + e) <= e) !== (z >= 0) ? 1 : 0;  // the rarer value if u <= e / (1 + e)
    if (mean) mean[j] = (z >= 0 ? 1 : e) / (1 + e);
  }
}

// biases plus the rows of W whose unit is 1, four at a time; the last row of W is zero, to fill up
function fields(W, bias, given) {
  const width = bias.length, sum = new Float32Array(bias), rows = [];
  for (let i = 0; i < given.length; i++) if (given[i]) rows.push(i * width);
  while (rows.length % 4) rows.push(given.length * width);
  for (let k = 0; k < rows.length; k += 4) {
    const p = rows[k], q = rows[k + 1], r = rows[k + 2], s = rows[k + 3];
    for (let j = 0; j < width; j++) sum[j] += W[p + j] + W[q + j] + W[r + j] + W[s + j];
  }
  return sum;
}

// ---- the page
const UNKNOWN = 0.5;
const STYLE = `
.completion label { align-items: center; display: flex; gap: 0.75rem; min-height: 2rem; }
.completion label > span { min-width: 6.5rem; text-align: right; }
.completion input { flex: 1 1 auto; max-width: 24rem; min-width: 6rem; touch-action: pan-y; }
.completion output { font-variant-numeric: tabular-nums; min-width: 3rem; }
.completion button { font: inherit; margin: 0.25rem 0.5rem 0.25rem 0; padding: 0.25rem 0.5rem; }
.completion .tiles { display: grid; gap: 6px; grid-template-columns: repeat(5, minmax(0, 7rem)); }
.completion figure { margin: 0; }
.completion figcaption, .completion p { font-size: 0.85rem; margin: 0; }
.completion canvas { border: 1px solid #888; box-sizing: border-box; width: 100%; }
.completion canvas { image-rendering: pixelated; }
.completion canvas.given { cursor: crosshair; touch-action: none; }`;

function add(parent, kind, properties = {}) {
  return parent.appendChild(Object.assign(document.createElement(kind), properties));
}

function slider(parent, name, max, value, change) {
  const label = add(parent, "label");
  add(label, "span", { textContent: name });
  const input = add(label, "input", { type: "range", min: 0, max, value, ariaLabel: name });
  input.dataset.lmSuppressShortcuts = "true";  // in JupyterLab, too, arrow keys move it
  const output = add(label, "output", { textContent: value });
  input.addEventListener("input", () => {
    output.textContent = input.value;
    change();
  });
  return input;
}

function tile(parent, name) {
  const figure = add(parent, "figure");
  const canvas = add(figure, "canvas", { width: SIDE, height: SIDE, role: "img", ariaLabel: name });
  add(figure, "figcaption", { textContent: name });
  return canvas;
}

// ink(i): how dark pixel i is, from 0 to 1
function paint(canvas, ink) {
  const image = new ImageData(SIDE, SIDE);
  for (let i = 0; i < SIDE * SIDE; i++) {
    const grey = 255 * (1 - ink(i));
    image.data.set([grey, grey, grey, 255], 4 * i);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

export function render({ model, el }) {
  const rbm = unpack(model.get("data"));
  let chains, picture, seed = 1, endless = false, busy = false, gone = false;
  el.classList.add("completion");
  add(el, "style", { textContent: STYLE });
  const digit = slider(el, "digit", rbm.pictures.length - 1, 0, () => choose());
  const rows = slider(el, "rows given", SIDE, SIDE / 2, () => restart());
  const steps = slider(el, "Gibbs steps", 100, 30, () => {
    if (chains.steps > Number(steps.value)) restart(); else work();
  });
  const run = add(el, "button", { type: "button", textContent: "run on" });
  const again = add(el, "button", { type: "button", textContent: "other chains" });
  const tiles = add(el, "div", { className: "tiles" });
  const given = tile(tiles, "draw here"), answers = [];
  for (let c = 1; c <= CHAINS; c++) answers.push(tile(tiles, `chain ${c}`));
  const truth = tile(tiles, "the digit"), status = add(el, "p");
  given.classList.add("given");

  const choose = () => {
    picture = Uint8Array.from(rbm.pictures[digit.value]);
    paint(truth, (i) => picture[i]);
    restart();
  };
  const restart = () => {
    const held = picture.map((_, i) => (i < SIDE * rows.value ? 1 : 0));
    chains = new Chains(rbm, picture, held, seed);
    paint(given, (i) => (held[i] ? picture[i] : UNKNOWN));
    work();
  };
  const wanted = () => (endless ? Infinity : Number(steps.value));
  const work = () => {
    if (!busy) requestAnimationFrame(tick);
    busy = true;
  };
  const tick = () => {
    const end = performance.now() + BUDGET;
    while (chains.steps < wanted() && performance.now() < end) chains.step();
    answers.forEach((canvas, c) => paint(canvas, (i) => chains.mean[c][i]));
    status.textContent = `after ${chains.steps} steps, in grey the probability of ink`;
    busy = chains.steps < wanted() && !gone;
    if (busy) requestAnimationFrame(tick);
  };
  run.addEventListener("click", () => {
    endless = !endless;
    run.textContent = endless ? "stop" : "run on";
    work();
  });
  again.addEventListener("click", () => {
    seed += 2;  // the one after a seed is for its random starts
    restart();
  });

  let ink;
  const draw = (event) => {
    const scale = SIDE / given.clientWidth;
    const x = Math.floor(event.offsetX * scale), y = Math.floor(event.offsetY * scale);
    // from ink on, the pen is an eraser
    if (event.type === "pointerdown") ink = 1 - picture[SIDE * y + x];
    for (const [i, j] of [[x, y], [x + 1, y], [x, y + 1], [x + 1, y + 1]]) {
      if (0 <= i && i < SIDE && 0 <= j && j < SIDE) picture[SIDE * j + i] = ink;
    }
    restart();
  };
  given.addEventListener("pointerdown", draw);
  given.addEventListener("pointermove", (event) => event.buttons && draw(event));
  choose();
  return () => (gone = true);
}

export default { render };
