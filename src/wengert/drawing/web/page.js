"use strict";
(() => {
const D = JSON.parse(document.getElementById("data").textContent);
const S = D.strings, N = D.nodes, G = D.groups, L = D.levels;
const [LABEL, OPERATOR, ORDER, STAGE, ROLE, OP, SHAPE, DTYPE, NBYTES, FLOPS, BYTES, SECONDS, FORMULA, DERIVATIVE,
  FILE, LINE, FUNCTION, SOURCE, GROUP, PRIMAL, KEPT, STEP, VALUE, COTANGENT, W, H, COLOUR, TRIPS, REGION] = N.length ? [...Array(29).keys()] : [];
const [NODE, BOX, CHIP, PORT, DUMMY] = [0, 1, 2, 3, 4];
const KINDS = ["forward", "backward", "kept", "read"];
const DASHES = {forward: "", backward: "7 3", kept: "1.5 3", read: "1.5 6", second: "9 2 2 2"};
const MOST = 4000;
const $ = id => document.getElementById(id);
const NS = "http://www.w3.org/2000/svg";
const esc = s => String(s).replace(/[&<>"]/g, c => ({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"})[c]);
const fmt = n => n.toLocaleString("en-US");
const num = x => typeof x === "string" ? x : x === null ? "" : x === 0 ? "0" :
  Math.abs(x) >= 1e5 || Math.abs(x) < 1e-4 ? x.toExponential(4) : String(+x.toPrecision(6));

// --- what reads what ---------------------------------------------------------------------------------
const into = N.map(() => []), outof = N.map(() => []);
for (const [a, b, kind] of D.edges) { outof[a].push([b, kind]); into[b].push([a, kind]); }
const inside = G.map(() => []);
N.forEach((n, k) => inside[n[GROUP]].push(k));
const isOpen = G.map((g, k) => k === 0 || !g[6]);
const shownGroup = g => { for (; g; g = G[g][2]) if (!isOpen[G[g][2]] && G[g][2]) return false; return true; };

// --- coordinates, as in placing.py ---------------------------------------------------------------------
const [PAD, HEAD, GAP_X, GAP_Y, GAP_BAND, GAP_DUMMY, RISE, HIGHEST, ROUNDS, FEWER, MANY, HALO_X, HALO_Y] = D.place;
const regionOf = new Map(D.regions.map(([name], k) => [name, k]));
const kindOf = i => typeof i === "number" ? DUMMY : i[0];
const bandOf = i => typeof i === "number" ? i : i[2];

function sizeOf(i) {
  switch (kindOf(i)) {
    case NODE: return [N[i[1]][W], N[i[1]][H]];
    case BOX: return [G[i[1]][7], G[i[1]][8]];
    case CHIP: return [i[3], 16];
    default: return [0, 0];
  }
}

function liftAt(lift, x) {
  const [xs, ys] = lift;
  let a = 0, b = xs.length;
  while (a < b) { const m = (a + b) >> 1; if (x < xs[m]) b = m; else a = m + 1; }
  const k = Math.min(Math.max(a, 1), xs.length - 1), wide = xs[k] - xs[k - 1];
  return ys[k - 1] + (wide ? (x - xs[k - 1]) / wide : 0) * (ys[k] - ys[k - 1]);
}

function gap(a, b) {
  if (bandOf(a) !== bandOf(b)) return GAP_BAND;
  return kindOf(a) >= PORT || kindOf(b) >= PORT ? GAP_DUMMY : GAP_Y;
}

function stack(column, offsets, ys, goal, weight) {
  const ws = [], sums = [], counts = [];
  for (let k = 0; k < column.length; k++) {
    let w = weight[k], total = w * (goal[k] - offsets[k]), n = 1;
    while (ws.length && sums[sums.length - 1] * w >= total * ws[ws.length - 1]) {
      w += ws.pop(); total += sums.pop(); n += counts.pop();
    }
    ws.push(w); sums.push(total); counts.push(n);
  }
  let k = 0;
  ws.forEach((w, b) => { for (let m = counts[b]; m > 0; m--, k++) ys[column[k]] = sums[b] / w + offsets[k]; });
}

function heights(items, columns, links, sizes, inner) {
  const near = items.map(() => []), column = [];
  columns.forEach((c, k) => c.forEach(i => { column[i] = k; }));
  const offset = (i, port) => {
    const box = inner.get(i);
    return box && port >= 0 ? box.boxes[port][1] - box.h / 2 : 0;
  };
  for (const [path, start, end, kind] of links) {
    for (let m = 0; m + 1 < path.length; m++) {
      const a = path[m], b = path[m + 1];
      if (column[a] === column[b]) continue;
      const p = m === 0 ? offset(a, start) : 0, q = m + 2 === path.length ? offset(b, end) : 0;
      const long = (kindOf(items[a]) === DUMMY) + (kindOf(items[b]) === DUMMY);
      const pull = [1, 2.5, 6][long] * (kind === 2 ? .6 : 1);
      near[a].push([b, q - p, pull, 1]);
      near[b].push([a, p - q, pull, -1]);
    }
  }
  const ys = new Array(items.length).fill(0);
  const offsets = columns.map(c => {
    let at = 0;
    return c.map((i, k) => {
      if (k) at += (sizes[c[k - 1]][1] + sizes[i][1]) / 2 + gap(items[c[k - 1]], items[i]);
      return at;
    });
  });
  columns.forEach((c, k) => stack(c, offsets[k], ys, c.map(() => 0), c.map(() => 1)));
  const rounds = items.length < MANY ? ROUNDS : FEWER;
  for (let turn = 0; turn < rounds; turn++) {
    const final = turn >= rounds - 4, side = turn % 2 ? 1 : -1;
    for (let m = 0; m < columns.length; m++) {
      const k = turn % 2 ? columns.length - 1 - m : m, c = columns[k], goal = [], weight = [];
      for (const i of c) {
        let total = 0, sought = 0;
        for (const [j, shift, w, to] of near[i]) {
          if (final || to === side) { total += w; sought += w * (ys[j] + shift); }
        }
        goal.push(total ? sought / total : ys[i]);
        weight.push(total || .05);
      }
      stack(c, offsets[k], ys, goal, weight);
    }
  }
  return ys;
}

const known = new Map();
function placed(g) {
  const [items, columns, links] = L[g];
  const inner = new Map();
  items.forEach((i, k) => { if (kindOf(i) === BOX && isOpen[i[1]]) inner.set(k, placed(i[1])); });
  const key = [g, ...[...inner.values()].map(p => p.serial)].join();
  if (known.has(key)) return known.get(key);
  const sizes = items.map((i, k) => inner.has(k) ? [inner.get(k).w, inner.get(k).h] : sizeOf(i));
  const halves = columns.map(c => Math.max(0, ...c.map(i => sizes[i][0])) / 2), xs = [], column = [];
  let x = 0;
  columns.forEach((c, k) => {
    const ends = (k === 0 || k === columns.length - 1) && c.every(i => kindOf(items[i]) === PORT);
    x += k ? halves[k] : 0;
    xs.push(x);
    x += halves[k] + (ends && k === 0 ? PAD + 6 : GAP_X + Math.min(26, 2 * Math.max(0, c.length - 4)));
    c.forEach(i => { column[i] = k; });
  });
  let ys = heights(items, columns, links, sizes, inner);
  const at = [], up = [];
  let found = 0, last = null;
  columns.forEach((c, k) => {
    const level = c.some(i => inner.has(i));
    found += last === null ? 0 : xs[k] - halves[k] - last;
    at.push(xs[k] - halves[k]); up.push(found);
    found += level ? 0 : 2 * halves[k];
    at.push(xs[k] + halves[k]); up.push(found);
    last = xs[k] + halves[k];
  });
  if (!at.length) { at.push(0); up.push(0); }
  const rise = found * RISE <= HIGHEST ? RISE : HIGHEST / found;
  let lift = [[at[0] - 1e4, ...at, at[at.length - 1] + 1e4],
    [up[0] - 1e4, ...up, up[up.length - 1] + 1e4].map(u => rise * u)];
  const before = new Set(links.map(l => l[0][l[0].length - 1])), after = new Set(links.map(l => l[0][0]));
  const across = items.map((item, i) => {
    const aside = kindOf(item) === NODE && before.has(i) !== after.has(i);
    const spare = aside ? halves[column[i]] - sizes[i][0] / 2 : 0;
    return xs[column[i]] + (after.has(i) ? spare : -spare);
  });
  ys = ys.map((y, i) => y - liftAt(lift, across[i]));
  let left = Infinity, right = -Infinity, top = Infinity, low = -Infinity;
  items.forEach((_, i) => {
    const [w, h] = sizes[i], cx = across[i];
    left = Math.min(left, cx - w / 2); right = Math.max(right, cx + w / 2);
    top = Math.min(top, ys[i] - h / 2); low = Math.max(low, ys[i] + h / 2);
  });
  if (!items.length) left = right = top = low = 0;
  const pad = g ? PAD : 0, head = g ? HEAD + PAD / 2 : 0;
  const w = right - left + 2 * pad, h = low - top + head + pad;
  const boxes = items.map((i, k) => {
    const cx = kindOf(i) === PORT ? (i[1] ? w : 0) : across[k] - left + pad;
    return [cx, ys[k] - top + head, ...sizes[k]];
  });
  lift = [lift[0].map(v => v - left + pad), lift[1]];
  const made = {w, h, boxes, lift, halves, column, inner, serial: known.size + 1};
  known.set(key, made);
  return made;
}

function curveThrough(points) {
  const curve = [[points[0][1], points[0][2]]];
  for (let k = 0; k + 1 < points.length; k++) {
    const [, x0, y0] = points[k], [x1, x2, y1] = points[k + 1], m = (x0 + x1) / 2;
    if (x1 < x0 + 4) { curve.push([x0 + 24, y0], [x1 - 24, y1], [x1, y1]); continue; }
    curve.push([m, y0], [m, y1], [x1, y1]);
    if (x2 > x1) curve.push([x1 + (x2 - x1) / 3, y1], [x1 + 2 * (x2 - x1) / 3, y1], [x2, y1]);
  }
  return curve;
}

function pathOf(g, here, link) {
  const [items] = L[g], {boxes, lift, column, halves} = here, [path, start, end, , back] = link;
  const a = path[0], b = path[path.length - 1], goal = items[back ? a : b];
  const head = kindOf(goal) < PORT && !(kindOf(goal) === BOX && isOpen[goal[1]]);
  let curve;
  if (column[a] === column[b] && path.length === 2) {
    const p = boxes[a], q = boxes[b], c = L[g][1][column[a]], far = p[0] + halves[column[a]] + 18;
    const down = q[1] > p[1] ? 1 : -1;
    const y0 = p[1] + down * p[3] / 2, y1 = q[1] - down * q[3] / 2, third = (y1 - y0) / 3;
    const ends = [c.indexOf(a), c.indexOf(b)].sort((m, n) => m - n);
    curve = c.slice(ends[0] + 1, ends[1]).every(i => kindOf(items[i]) === DUMMY)
      ? [[p[0], y0], [p[0], y0 + third], [q[0], y1 - third], [q[0], y1]]
      : [[p[0] + p[2] / 2, p[1]], [far, p[1]], [far, q[1]], [q[0] + q[2] / 2, q[1]]];
  } else {
    const points = path.map((i, n) => {
      const box = boxes[i];
      if (n && n < path.length - 1) {
        const half = halves[column[i]];
        return [box[0] - half, box[0] + half, box[1] + liftAt(lift, box[0])];
      }
      const side = n ? -1 : 1, port = n ? end : start, cx = box[0] + side * box[2] / 2;
      let cy = box[1];
      if (here.inner.has(i) && port >= 0) cy += here.inner.get(i).boxes[port][1] - box[3] / 2;
      return [cx, cx, cy + liftAt(lift, cx)];
    });
    curve = curveThrough(points).map(([x, y]) => [x, y - liftAt(lift, x)]);
  }
  return [back ? curve.reverse() : curve, head];
}

// --- drawing ---------------------------------------------------------------------------------------------
const graph = $("graph");
const svg = document.createElementNS(NS, "svg"), world = document.createElementNS(NS, "g");
svg.append(world);
graph.append(svg);
let at = {}, groupAt = {}, chips = [], size = [1, 1], view = {x: 0, y: 0, k: 1}, heat = "operations", chosen = null, step = 0;
const r1 = x => Math.round(x * 10) / 10;

function heats() {
  const column = {operations: FLOPS, time: SECONDS, bytes: BYTES}[heat];
  if (!column) return () => 0;
  let most = 0;
  for (const n of N) if (n[OPERATOR]) most = Math.max(most, n[column] || 0);
  return n => most ? Math.sqrt((n[column] || 0) / most) : 0;
}

function countShown() {
  let total = 0;
  for (let g = 0; g < G.length; g++) if (isOpen[g] && shownGroup(g)) total += inside[g].length;
  return total;
}

function draw() {
  const heatOf = heats(), back = [], halos = [], lines = [], front = [];
  at = {}; groupAt = {}; chips = [];
  const top = placed(0);
  size = [top.w, top.h];
  const text = (x, y, s, px, fill, more = "") => front.push(
    `<text x="${r1(x)}" y="${r1(y + .35 * px)}" font-size="${px}" class="f-${fill}" text-anchor="middle"${more}>${esc(s)}</text>`);
  const visit = (g, here, x, y) => {
    const [items, , links] = L[g];
    items.forEach((i, k) => {
      const kind = kindOf(i);
      if (kind >= PORT) return;
      const [cx, cy, w, h] = here.boxes[k], X = cx + x, Y = cy + y, me = i[1];
      const rect = (r, cls, more) => `<rect x="${r1(X - w / 2)}" y="${r1(Y - h / 2)}" width="${r1(w)}" height="${r1(h)}" rx="${r}" class="${cls}" ${more}/>`;
      if (kind === BOX) {
        const [label, kd] = G[me].map((v, j) => j < 2 ? S[v] : v);
        groupAt[me] = [X, Y, w, h];
        if (isOpen[me]) {
          const again = kd === "again";
          const dash = {trip: "1 4", again: "5 3", function: "4 4", part: "4 4", branch: "4 4"}[kd] || "";
          const stroke = again ? "again" : ["loop", "body", "repeat"].includes(kd) ? "faint" : "line";
          back.push(rect(9, `f-${again ? "again" : "box"} s-${stroke}`, `fill-opacity="${again ? .14 : .75}" stroke-dasharray="${dash}" data-g="${me}"`));
          const fits = Math.max(4, Math.floor((w - 16) / 6.9)), name = label.length > fits ? label.slice(0, fits - 1) + "…" : label;
          back.push(`<text x="${r1(X - w / 2 + 9)}" y="${r1(Y - h / 2 + 15.5)}" font-size="10" font-weight="bold" class="f-faint name">▾ ${esc(name)}</text>`);
          visit(me, here.inner.get(k), X - w / 2, Y - h / 2);
        } else {
          front.push(`<rect x="${r1(X - w / 2 + 4)}" y="${r1(Y - h / 2 - 4)}" width="${r1(w)}" height="${r1(h)}" rx="5" class="f-box s-line"/>`);
          front.push(rect(5, "f-box s-faint", `stroke-width="1.2" data-g="${me}"`));
          text(X, Y - 8, label, 11, "ink", ' font-weight="bold"');
          text(X, Y + 9, S[G[me][9]], 9, "faint");
        }
        return;
      }
      if (kind === CHIP) {
        chips.push([X, Y, w, h]);
        front.push(rect(8, "f-paper s-kept", 'stroke-dasharray="2 2"'));
        text(X, Y, D.sizes[me], 9, "kept");
        return;
      }
      const n = N[me], colour = S[n[COLOUR]];
      at[me] = [X, Y, w, h];
      if (n[REGION]) {
        const r = regionOf.get(n[REGION]), cls = `region${r % 6 + 1}`;
        halos.push(`<rect x="${r1(X - (w + HALO_X) / 2)}" y="${r1(Y - (h + HALO_Y) / 2)}" width="${r1(w + HALO_X)}" height="${r1(h + HALO_Y)}" rx="6" class="f-${cls} s-${cls}" fill-opacity=".3" stroke-dasharray="${D.regions[r][1]}"/>`);
      }
      if (n[OPERATOR]) {
        const dash = n[ORDER] || S[n[STAGE]] === "again" ? ' stroke-dasharray="4 2"' : "";
        front.push(rect(r1(h / 2), "f-paper s-none", ""));
        front.push(rect(r1(h / 2), `f-${colour} s-${colour}`, `fill-opacity="${(.06 + .5 * heatOf(n)).toFixed(2)}" stroke-width="1.5"${dash} data-n="${me}"`));
        text(X, Y, n[LABEL], 12, "ink", ` data-t="${me}"`);
      } else {
        const wide = ["input", "result", "gradient", "constant"].includes(S[n[ROLE]]) ? 2.2 : 1.3, shape = S[n[SHAPE]];
        front.push(rect(3, `f-paper s-${colour}`, `stroke-width="${wide}" data-n="${me}"`));
        text(X, shape ? Y - 6 : Y, n[LABEL], 12.5, "ink", ` font-weight="bold" data-t="${me}"`);
        if (shape) text(X, Y + 10, shape, 9, "faint", ` data-t="${me}"`);
      }
    });
    for (const link of links) {
      const [curve, head] = pathOf(g, here, link), [path, , , kind, isBack, source] = link;
      const colour = kind === 1 && !isBack ? "second" : KINDS[kind], goal = items[isBack ? path[0] : path[path.length - 1]];
      const p = curve.map(([a, b]) => [r1(a + x), r1(b + y)]);
      let d = `M${p[0]}`;
      for (let k = 1; k < p.length; k += 3) d += `C${p[k]} ${p[k + 1]} ${p[k + 2]}`;
      const target = kindOf(goal) === NODE ? ` data-e="${goal[1]}"` : "";
      lines.push(`<path d="${d}" class="f-none s-${colour}" stroke-width="1.5" stroke-dasharray="${DASHES[colour]}" data-s="${source}"${target}/>`);
      if (head) {
        const [x0, y0] = p[p.length - 2], [x1, y1] = p[p.length - 1], l = Math.hypot(x1 - x0, y1 - y0) || 1;
        const ux = (x1 - x0) / l, uy = (y1 - y0) / l, bx = x1 - 7 * ux, by = y1 - 7 * uy;
        lines.push(`<polygon points="${r1(x1)},${r1(y1)} ${r1(bx - 3.2 * uy)},${r1(by + 3.2 * ux)} ${r1(bx + 3.2 * uy)},${r1(by - 3.2 * ux)}" class="f-${colour}"/>`);
      }
    }
  };
  visit(0, top, 0, 0);
  world.innerHTML = back.join("") + halos.join("") + lines.join("") + front.join("");
  mark();
}

function show() { world.setAttribute("transform", `translate(${view.x} ${view.y}) scale(${view.k})`); }

function fit() {
  const w = graph.clientWidth || 800, h = graph.clientHeight || 600;
  view.k = Math.min(1.6, .94 * Math.min(w / size[0], h / size[1]));
  view.x = (w - view.k * size[0]) / 2;
  view.y = (h - view.k * size[1]) / 2;
  show();
}

function zoom(factor, x = graph.clientWidth / 2, y = graph.clientHeight / 2) {
  const k = Math.min(6, Math.max(.02, view.k * factor)), f = k / view.k;
  view = {k, x: x - f * (x - view.x), y: y - f * (y - view.y)};
  show();
}

function centre([x, y], least = .7) {
  view.k = Math.max(view.k, least);
  view.x = graph.clientWidth / 2 - view.k * x;
  view.y = graph.clientHeight / 2 - view.k * y;
  show();
}

function into_view([x, y, w, h]) {
  const X = view.x + view.k * x, Y = view.y + view.k * y;
  if (view.k < .45 || X < 40 || Y < 40 || X > graph.clientWidth - 40 || Y > graph.clientHeight - 40) centre([x, y], .7);
}

// --- what is chosen, and which step it is ------------------------------------------------------------------
// A step is an operator and, in the body of a loop, the place of a trip among those that are known.
const bodies = new Map();
for (const [g, [owner]] of Object.entries(D.bodies)) bodies.set(owner, [...bodies.get(owner) ?? [], +g]);
const tripsOf = g => D.bodies[g]?.[1] ?? [], tripAt = {};
if (D.regions.length) {
  const list = document.createElement("ul");
  list.id = "regions";
  list.innerHTML = D.regions.map(([name, dash], k) => `<li><svg width="22" height="14"><rect x="1" y="1" width="20" height="12" rx="4"
    class="f-region${k % 6 + 1} s-region${k % 6 + 1}" fill-opacity=".3" stroke-dasharray="${dash}"/></svg> ${esc(S[name])}</li>`).join("");
  graph.append(list);
}
const order = [], reached = N.map(() => 0);
function addSteps(k, trip) {
  const inner = trip > 0 ? [] : bodies.get(k) ?? [], most = Math.max(0, ...inner.map(g => tripsOf(g).length));
  for (const t of new Set([0, 1, most - 1].filter(t => t >= 0 && t < most))) {
    for (const g of inner) {
      if (t >= tripsOf(g).length) continue;
      for (const m of inside[g]) {
        if (N[m][OPERATOR]) addSteps(m, t);
        else reached[m] ||= order.length + 1;
      }
    }
  }
  order.push([k, trip]);
  reached[k] ||= order.length;
}
N.map((n, k) => k).filter(k => N[k][OPERATOR] && N[k][STEP] >= 0).sort((a, b) => N[a][STEP] - N[b][STEP])
  .forEach(k => addSteps(k, -1));
const variableOf = N.map(() => -1);
for (const [a, b] of D.edges) if (N[a][OPERATOR] && !N[b][OPERATOR] && N[a][STEP] === N[b][STEP]) {
  variableOf[a] = b;
  reached[b] = reached[a];
}
const shotOf = k => N[k][TRIPS] ? N[k][TRIPS][Math.min(tripAt[N[k][GROUP]] ?? 0, N[k][TRIPS].length - 1)] : N[k][VALUE];

function mark() {
  const now = step ? order[step - 1][0] : -1;
  for (const e of world.querySelectorAll("[data-n],[data-t]")) {
    const k = +(e.dataset.n ?? e.dataset.t);
    e.classList.toggle("dim", step > 0 && reached[k] > step);
    if (e.dataset.n !== undefined) {
      e.classList.toggle("sel", chosen === k);
      e.classList.toggle("now", now === k);
    }
  }
  for (const e of world.querySelectorAll("rect[data-g]")) e.classList.toggle("sel", chosen === -e.dataset.g);
  for (const e of world.querySelectorAll("path[data-s]"))
    e.classList.toggle("hot", chosen !== null && chosen >= 0 && (+e.dataset.s === chosen || +e.dataset.e === chosen));
}

function reveal(k) {
  const closed = [];
  for (let g = N[k][GROUP]; g; g = G[g][2]) if (!isOpen[g]) closed.push(g);
  if (closed.length) { closed.forEach(g => { isOpen[g] = true; }); draw(); }
}

function choose(k, bring = true) {
  chosen = k;
  if (k !== null && k >= 0) {
    reveal(k);
    if (bring && at[k]) into_view(at[k]);
    describe(k);
  } else if (k !== null) {
    describeGroup(-k);
    if (bring && groupAt[-k]) into_view(groupAt[-k]);
  }
  mark();
}

function toggle(g, want = !isOpen[g]) {
  const before = groupAt[g], inner = inside[g].length;
  if (want && countShown() + inner > MOST) { say(`more than ${fmt(MOST)} nodes would be open: close other groups first`); return; }
  isOpen[g] = want;
  draw();
  const after = groupAt[g];
  if (before && after) {
    view.x += view.k * (before[0] - before[2] / 2 - after[0] + after[2] / 2);
    view.y += view.k * (before[1] - after[1]);
    show();
  }
  choose(-g, false);
}

function all(open) {
  const before = [...isOpen];
  for (let g = 1; g < G.length; g++) isOpen[g] = open;
  if (open && countShown() > MOST) {
    before.forEach((v, g) => { isOpen[g] = v; });
    say(`${fmt(N.length)} nodes are too many to be open at once: open groups one by one, or search`);
    return;
  }
  draw();
  fit();
}

function say(text) { $("said").textContent = text; }

function go(n) {
  step = Math.max(0, Math.min(order.length, n));
  $("at").value = step;
  if (!step) { say("before the first operation"); mark(); return; }
  const [k, trip] = order[step - 1], n_ = N[k], v = variableOf[k], g = n_[GROUP];
  if (trip >= 0) tripAt[g] = trip;
  const shot = shotOf(k), around = trip >= 0 && G[g][5] > 1 ? `, trip ${fmt(tripsOf(g)[trip])} of ${fmt(G[g][5])}` : "";
  const name = v >= 0 ? N[v][LABEL] : n_[LABEL];
  say(`${step}/${order.length} ${n_[ORDER] ? "backward" : "forward"}${around}: ${name} = ${shot ? brief(shot) : S[n_[FORMULA]]}`);
  choose(v >= 0 && shownGroup(N[v][GROUP]) ? v : k);
  chosen = k;
  mark();
}

const brief = s => s.length === 3 ? num(s[1]) : `${num(s[0])} … ${num(s[2])}`;

// --- the panel -----------------------------------------------------------------------------------------------
const tabs = document.querySelector("[role=tablist]"), aside = document.querySelector("aside"), panels = {};
function panel(id, title) {
  const b = document.createElement("button"), p = document.createElement("div");
  Object.assign(b, {id: `tab-${id}`, textContent: title});
  b.setAttribute("role", "tab");
  b.setAttribute("aria-controls", `panel-${id}`);
  p.id = `panel-${id}`;
  p.setAttribute("role", "tabpanel");
  p.setAttribute("aria-labelledby", b.id);
  p.tabIndex = 0;
  b.onclick = () => select(id);
  tabs.append(b);
  aside.append(p);
  return panels[id] = p;
}
function select(id) {
  for (const [name, p] of Object.entries(panels)) {
    p.hidden = name !== id;
    $(`tab-${name}`).setAttribute("aria-selected", name === id);
    $(`tab-${name}`).tabIndex = name === id ? 0 : -1;
  }
}
tabs.addEventListener("keydown", e => {
  const ids = Object.keys(panels), k = ids.findIndex(i => !panels[i].hidden);
  const move = {ArrowRight: 1, ArrowLeft: -1}[e.key];
  if (!move) return;
  const id = ids[(k + move + ids.length) % ids.length];
  select(id);
  $(`tab-${id}`).focus();
  e.preventDefault();
});

const nodePanel = panel("node", "Node");
const equationPanel = panel("equations", "Equations");
for (const t of document.querySelectorAll("template.section")) {
  panel(`section${Object.keys(panels).length}`, t.dataset.title).append(t.content.cloneNode(true));
}
panel("help", "Help").innerHTML = `<h2>Keys</h2><dl>
<dt><kbd>Tab</kbd></dt><dd>to the graph, its buttons and this panel</dd>
<dt><kbd>→</kbd> <kbd>←</kbd></dt><dd>to what reads the node, to what it reads</dd>
<dt><kbd>↑</kbd> <kbd>↓</kbd></dt><dd>to the next node above or below</dd>
<dt><kbd>Enter</kbd></dt><dd>open or close the group</dd>
<dt><kbd>g</kbd></dt><dd>to the group around the node</dd>
<dt><kbd>/</kbd></dt><dd>search</dd>
<dt><kbd>n</kbd> <kbd>p</kbd></dt><dd>one step on, one step back</dd>
<dt><kbd>[</kbd> <kbd>]</kbd></dt><dd>the trip of a loop before, and after, those that are known</dd>
<dt><kbd>space</kbd></dt><dd>play the steps</dd>
<dt><kbd>+</kbd> <kbd>-</kbd> <kbd>0</kbd></dt><dd>zoom, fit the window</dd>
<dt><kbd>Shift</kbd> and arrows</dt><dd>move the picture</dd>
<dt><kbd>o</kbd> <kbd>c</kbd></dt><dd>open all groups, close all</dd>
<dt><kbd>t</kbd></dt><dd>light or dark</dd></dl>
<h2>Signs</h2><p>Squares are variables, circles are operators.
<span class="forward">The function</span> goes from the lower left to the upper right,
<span class="backward">its derivative</span> comes back below it, dashed.
<span class="kept">Dotted green edges</span> are what is kept for the way back, with its bytes.
The darker a circle, the more it costs.</p>`;

function heatMap(shot) {
  const [, , , wide, letters, signed] = shot, high = letters.length / wide;
  const c = document.createElement("canvas");
  c.width = wide; c.height = high;
  const x = c.getContext("2d"), dark = getComputedStyle(document.documentElement).getPropertyValue("--paper").trim() < "#8";
  const letter = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  [...letters].forEach((l, k) => {
    const v = letter.indexOf(l) / 63;
    let colour = "#f0f";
    if (v >= 0) {
      const t = signed ? 2 * v - 1 : v, a = Math.abs(t), base = dark ? [20, 24, 29] : [255, 255, 255];
      const goal = t < 0 ? (dark ? [240, 136, 62] : [193, 78, 0]) : (dark ? [86, 180, 233] : [0, 114, 178]);
      colour = `rgb(${base.map((b, j) => Math.round(b + a * (goal[j] - b)))})`;
    }
    x.fillStyle = colour;
    x.fillRect(k % wide, Math.floor(k / wide), 1, 1);
  });
  c.setAttribute("role", "img");
  c.setAttribute("aria-label", `heat map of ${high} by ${wide} blocks`);
  return c;
}

function shotRow(title, cls, shot, n) {
  const d = document.createElement("div");
  d.className = "shot";
  d.dataset.shot = cls;
  if (shot.length > 3) d.append(heatMap(shot));
  const t = document.createElement("div"), what = `${S[n[DTYPE]]}[${S[n[SHAPE]].replaceAll("×", ",")}]`;
  t.innerHTML = shot.length > 3
    ? `<b class="${cls}">${title}</b> ${esc(what)}<br>min ${num(shot[0])}<br>mean ${num(shot[1])}<br>max ${num(shot[2])}`
    : `<b class="${cls}">${title}</b> ${shot[1] === null ? esc(what) : num(shot[1])}`;
  d.append(t);
  return d;
}

function tripRow(k, trips) {
  const g = N[k][GROUP], t = tripAt[g] ?? 0, label = document.createElement("label"), range = document.createElement("input");
  Object.assign(range, {type: "range", id: "trip", min: 0, max: trips.length - 1, value: t});
  label.className = "trip";
  const says = document.createElement("span");
  says.textContent = `trip ${fmt(trips[t])} of ${fmt(G[g][5])}`;
  range.setAttribute("aria-valuetext", says.textContent);
  range.oninput = () => { turn(k, +range.value); $("trip").focus(); };
  label.append(says, range);
  return label;
}

function turn(k, t) {
  const trips = k !== null && k >= 0 && N[k][TRIPS] ? tripsOf(N[k][GROUP]) : [];
  if (!trips.length) return;
  tripAt[N[k][GROUP]] = Math.max(0, Math.min(trips.length - 1, t));
  describe(k);
}

function links(title, list) {
  if (!list.length) return "";
  const shown = list.slice(0, 24).map(([k, kind]) => `<button data-go="${k}">${esc(N[k][LABEL])}${kind === 2 ? " (kept)" : ""}</button>`);
  return `<dt>${title}</dt><dd>${shown.join(" ")}${list.length > 24 ? ` and ${list.length - 24} more` : ""}</dd>`;
}

function describe(k) {
  const n = N[k], row = (a, b) => b ? `<dt>${a}</dt><dd>${b}</dd>` : "";
  const isBack = n[ORDER] > 0, formula = S[n[FORMULA]];
  const file = S[n[FILE]] ? `${S[n[FILE]].split(/[\\/]/).pop()}:${n[LINE]}` : "";
  nodePanel.innerHTML = `<h2 class="${isBack ? "backward" : "forward"}">${esc(n[LABEL])}</h2><dl>` +
    row("kind", `${n[OPERATOR] ? `operator <code>${esc(S[n[OP]])}</code>` : `variable${S[n[ROLE]] ? `, ${S[n[ROLE]]}` : ""}`}, ${S[n[STAGE]]}`) +
    row("formula", formula && `<code id="formula">${n[OPERATOR] ? "" : esc(n[LABEL]) + " = "}${esc(formula)}</code>`) +
    row("local derivative", S[n[DERIVATIVE]] && `<code id="derivative">${esc(S[n[DERIVATIVE]])}</code>`) +
    row("devices", n[REGION] && `<span id="region">${esc(S[n[REGION]])}</span>`) +
    row("shape", `${S[n[DTYPE]]}[${S[n[SHAPE]].replaceAll("×", ",")}], ${fmt(n[NBYTES])} bytes${n[KEPT] ? ", <b class='kept'>kept for the way back</b>" : ""}`) +
    (n[OPERATOR] ? row("cost", `<span id="cost">${fmt(n[FLOPS])} operation${n[FLOPS] === 1 ? "" : "s"}, ${fmt(n[BYTES])} bytes moved</span>`) : "") +
    row("time", n[SECONDS] !== null && `${num(+(n[SECONDS] * 1e6).toPrecision(3))} µs in NumPy`) +
    row("source", file && `<span id="source">${esc(file)}${S[n[FUNCTION]] ? `, ${esc(S[n[FUNCTION]])}` : ""}<br><code>${esc(S[n[SOURCE]])}</code></span>`) +
    links("reads", into[k]) + links("read by", outof[k]) +
    (n[PRIMAL] >= 0 ? links("derivative of", [[n[PRIMAL], 0]]) : "") + "</dl>";
  const shot = shotOf(k), trips = n[TRIPS] ? tripsOf(n[GROUP]) : [];
  if (shot) nodePanel.append(shotRow("value", isBack ? "backward" : "forward", shot, n));
  if (trips.length > 1) nodePanel.append(tripRow(k, trips));
  if (n[COTANGENT]) nodePanel.append(shotRow("cotangent", "backward", n[COTANGENT], n));
  if (panels.help && !panels.help.hidden || !nodePanel.hidden || panels.node) select("node");
}

function describeGroup(g) {
  const file = S[G[g][3]] ? `${S[G[g][3]].split(/[\\/]/).pop()}:${G[g][4]}` : "";
  nodePanel.innerHTML = `<h2>${esc(S[G[g][0]])}</h2><dl><dt>kind</dt><dd>${S[G[g][1]]}</dd><dt>within</dt><dd>${esc(S[G[g][9]])}</dd>` +
    (G[g][5] > 1 ? `<dt>runs</dt><dd>${fmt(G[g][5])} times</dd>` : "") + (file ? `<dt>source</dt><dd>${esc(file)}</dd>` : "") +
    `</dl><p><button data-toggle="${g}">${isOpen[g] ? "close" : "open"}</button></p>`;
  select("node");
}

nodePanel.addEventListener("click", e => {
  const b = e.target.closest("button");
  if (b?.dataset.go) choose(+b.dataset.go);
  if (b?.dataset.toggle) toggle(+b.dataset.toggle);
});

for (const back of [0, 1]) {
  const lines = D.lines[back];
  if (!lines.length) continue;
  const h = document.createElement("h2");
  h.textContent = back ? "backward" : "forward";
  h.className = h.textContent;
  equationPanel.append(h);
  for (const [node, text] of lines) {
    const b = document.createElement("button");
    b.className = "equation";
    b.textContent = text;
    b.onclick = () => { if (node >= 0) { choose(node); select("equations"); } };
    equationPanel.append(b);
  }
  if (D.counts[back] > lines.length) equationPanel.append(`and ${fmt(D.counts[back] - lines.length)} more: drawing.equations() has them all`);
}
if (D.latex) {
  const d = document.createElement("details");
  d.innerHTML = `<summary>LaTeX</summary><pre>${esc(D.latex)}</pre>`;
  equationPanel.append(d);
}
nodePanel.innerHTML = "<p>Click a node, or search for one.</p>";

// --- search ----------------------------------------------------------------------------------------------------
const find = $("find"), list = $("found");
let hits = [], hit = 0, haystack = null;
function search() {
  haystack ??= N.map(n => [n[LABEL], S[n[OP]], S[n[FORMULA]], S[n[SOURCE]], S[n[FUNCTION]]].join("\n").toLowerCase());
  const q = find.value.trim().toLowerCase();
  hits = [];
  if (q) {
    const better = [], exact = [];
    for (let k = 0; k < N.length; k++) {
      const label = N[k][LABEL].toLowerCase();
      if (label === q) exact.push(k); else if (label.startsWith(q)) better.push(k); else if (haystack[k].includes(q)) hits.push(k);
    }
    hits = [...exact, ...better, ...hits];
  }
  const total = hits.length;
  hits = hits.slice(0, 60);
  hit = 0;
  list.innerHTML = hits.map((k, j) => `<li role="option" id="hit${j}" data-k="${k}" aria-selected="${j === 0}">${esc(N[k][LABEL])} <small>${esc(S[N[k][FORMULA]]).slice(0, 60)}${N[k][LINE] ? ` · line ${N[k][LINE]}` : ""}</small></li>`).join("") +
    (total > hits.length ? `<li><small>and ${fmt(total - hits.length)} more</small></li>` : q && !total ? "<li><small>nothing found</small></li>" : "");
  find.setAttribute("aria-expanded", Boolean(q));
}
function take(k) { list.innerHTML = ""; find.setAttribute("aria-expanded", false); choose(k); if (at[k]) centre(at[k], .9); graph.focus(); }
find.addEventListener("input", search);
find.addEventListener("keydown", e => {
  const move = {ArrowDown: 1, ArrowUp: -1}[e.key];
  if (move && hits.length) {
    list.children[hit].setAttribute("aria-selected", false);
    hit = (hit + move + hits.length) % hits.length;
    list.children[hit].setAttribute("aria-selected", true);
    list.children[hit].scrollIntoView({block: "nearest"});
    find.setAttribute("aria-activedescendant", `hit${hit}`);
    e.preventDefault();
  } else if (e.key === "Enter" && hits.length) take(hits[hit]);
  else if (e.key === "Escape") { find.value = ""; search(); graph.focus(); }
  e.stopPropagation();
});
list.addEventListener("click", e => { const li = e.target.closest("li[data-k]"); if (li) take(+li.dataset.k); });
document.addEventListener("click", e => { if (!e.target.closest(".search")) list.innerHTML = ""; });

// --- the mouse ---------------------------------------------------------------------------------------------------
const fingers = new Map();
let drag = null, moved = false;
graph.addEventListener("pointerdown", e => {
  if (e.button) return;
  fingers.set(e.pointerId, e);
  drag = {x: e.clientX - view.x, y: e.clientY - view.y, sx: e.clientX, sy: e.clientY};
  moved = false;
});
graph.addEventListener("pointermove", e => {
  if (!drag || !fingers.has(e.pointerId)) return;
  const others = [...fingers.values()].filter(f => f.pointerId !== e.pointerId), old = fingers.get(e.pointerId);
  fingers.set(e.pointerId, e);
  if (others.length) {
    const o = others[0], box = graph.getBoundingClientRect();
    const far = f => Math.hypot(f.clientX - o.clientX, f.clientY - o.clientY) || 1;
    zoom(far(e) / far(old), (e.clientX + o.clientX) / 2 - box.left, (e.clientY + o.clientY) / 2 - box.top);
    moved = true;
    return;
  }
  if (Math.hypot(e.clientX - drag.sx, e.clientY - drag.sy) > 4) { moved = true; graph.classList.add("dragging"); }
  if (moved) { view.x = e.clientX - drag.x; view.y = e.clientY - drag.y; show(); }
});
for (const kind of ["pointerup", "pointercancel", "pointerleave"]) graph.addEventListener(kind, e => {
  fingers.delete(e.pointerId);
  drag = null;
  graph.classList.remove("dragging");
});
graph.addEventListener("click", e => {
  if (moved) return;
  const t = e.target.closest("[data-n],[data-g]");
  if (!t) { chosen = null; mark(); return; }
  if (t.dataset.n !== undefined) choose(+t.dataset.n, false); else toggle(+t.dataset.g);
});
graph.addEventListener("wheel", e => {
  const box = graph.getBoundingClientRect();
  zoom(Math.exp(-e.deltaY * (e.deltaMode ? .05 : .0016)), e.clientX - box.left, e.clientY - box.top);
  e.preventDefault();
}, {passive: false});

// --- the keyboard ------------------------------------------------------------------------------------------------
function beside(dx, dy) {
  const mine = chosen !== null && (chosen >= 0 ? at[chosen] : groupAt[-chosen]);
  if (!mine) { const first = Object.keys(at)[0]; if (first !== undefined) choose(+first); return; }
  let best = null, least = Infinity;
  const look = (k, [x, y]) => {
    const a = x - mine[0], b = y - mine[1], along = a * dx + b * dy, off = Math.abs(a * dy - b * dx);
    if (along > 3 && along + 2.5 * off < least) { least = along + 2.5 * off; best = k; }
  };
  for (const [k, box] of Object.entries(at)) look(+k, box);
  for (const [g, box] of Object.entries(groupAt)) if (!isOpen[g]) look(-g, box);
  if (best !== null) choose(best);
}
function along(list, dx) {
  const seen = list.map(([k]) => k).filter(k => at[k]);
  if (seen.length) choose(seen[0]); else beside(dx, 0);
}
let player = null;
function play(on = player === null) {
  clearInterval(player);
  player = null;
  if (on) {
    if (step >= order.length) go(0);
    player = setInterval(() => { if (step >= order.length) play(false); else go(step + 1); }, 700);
  }
  $("play").textContent = player === null ? "play" : "pause";
}
const keys = {
  "/": () => { find.focus(); find.select(); }, "+": () => zoom(1.25), "=": () => zoom(1.25), "-": () => zoom(.8), "0": fit,
  "[": () => turn(chosen, (tripAt[N[chosen]?.[GROUP]] ?? 0) - 1), "]": () => turn(chosen, (tripAt[N[chosen]?.[GROUP]] ?? 0) + 1),
  n: () => go(step + 1), p: () => go(step - 1), " ": () => play(), Home: () => go(0), End: () => go(order.length),
  o: () => all(true), c: () => all(false), t: theme, Escape: () => { chosen = null; mark(); },
  "?": () => { select("help"); $("tab-help").focus(); },
  g: () => { const g = chosen === null ? 0 : chosen >= 0 ? N[chosen][GROUP] : G[-chosen][2]; if (g) choose(-g); },
};
document.addEventListener("keydown", e => {
  if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input,select")) return;
  const inGraph = document.activeElement === graph || document.activeElement === document.body;
  const arrow = {ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[e.key];
  if (arrow && inGraph) {
    if (e.shiftKey) { view.x -= 60 * arrow[0]; view.y -= 60 * arrow[1]; show(); }
    else if (arrow[0] && chosen !== null && chosen >= 0) {
      const forth = (arrow[0] > 0) === (N[chosen][ORDER] % 2 === 0);
      along(forth ? outof[chosen].filter(l => l[1] < 2) : into[chosen].filter(l => l[1] < 2), arrow[0]);
    } else beside(...arrow);
    e.preventDefault();
  } else if (e.key === "Enter" && inGraph) {
    const g = chosen === null ? 0 : chosen < 0 ? -chosen : N[chosen][GROUP];
    if (g) toggle(g);
    e.preventDefault();
  } else if (keys[e.key] && (e.key !== " " || inGraph) && !(e.target.closest("[role=tablist]") && e.key.length > 1)) {
    keys[e.key]();
    e.preventDefault();
  }
});

// --- buttons -----------------------------------------------------------------------------------------------------
function theme() {
  const root = document.documentElement, dark = root.dataset.theme ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  if (chosen !== null && chosen >= 0) describe(chosen);
}
$("heat").onchange = e => { heat = e.target.value; draw(); };
$("open").onclick = () => all(true);
$("close").onclick = () => all(false);
$("in").onclick = () => zoom(1.25);
$("out").onclick = () => zoom(.8);
$("fit").onclick = fit;
$("theme").onclick = theme;
$("start").onclick = () => go(0);
$("before").onclick = () => go(step - 1);
$("after").onclick = () => go(step + 1);
$("play").onclick = () => play();
$("at").max = order.length;
$("at").oninput = e => go(+e.target.value);
addEventListener("resize", fit);
/* print.js */

select("node");
draw();
fit();
say(`${fmt(N.length)} nodes, ${fmt(order.length)} steps`);
window.wengert = {
  at: () => at, groups: () => groupAt, open: g => toggle(g, true), nodes: N, strings: S, choose, go, fit, view: () => view, sheets,
};
})();
