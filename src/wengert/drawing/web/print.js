// --- on paper, as in paper.py ------------------------------------------------------------------------------------
const PAPER = {long: 277 / 25.4 * 96, short: 190 / 25.4 * 96, least: .67, aside: 40, between: 16, pill: 14, most: 24, patience: 3};

function cutsOf(spans, low, high) {
  const ends = [];
  let end = Infinity;
  for (const [a, b] of spans) {
    if (a > end + 8) ends.push((a + end) / 2);
    end = end === Infinity ? b : Math.max(end, b);
  }
  ends.push(high);
  const greedy = most => {
    const cuts = [];
    let start = low, last = low;
    for (const e of ends) {
      if (e - start > most) {
        if (last === start || e - last > most) return null;
        cuts.push(last);
        start = last;
      }
      last = e;
    }
    return cuts;
  };
  const found = [[]];
  for (let count = 2; count <= PAPER.most; count++) {
    let least = (high - low) / count, most = high - low;
    for (let k = 0; k < 20; k++) {
      const middle = (least + most) / 2, cuts = greedy(middle);
      if (cuts && cuts.length < count) most = middle; else least = middle;
    }
    const cuts = greedy(most);
    if (cuts && cuts.length > found[found.length - 1].length) found.push(cuts);
    if (most < 300) break;
  }
  return found;
}

function spreadOut(goals) {
  const step = PAPER.pill + 2, groups = [];
  goals.forEach((y, k) => {
    groups.push([y - k * step, 1]);
    while (groups.length > 1 && groups[groups.length - 2][0] >= groups[groups.length - 1][0]) {
      const [b, n] = groups.pop(), [a, m] = groups.pop();
      groups.push([(a * m + b * n) / (m + n), m + n]);
    }
  });
  return groups.flatMap(([y, n]) => Array(n).fill(y)).map((y, k) => y + k * step);
}

function meetings(points, x) {
  const found = [];
  for (let k = 0; k + 1 < points.length; k++) {
    const [a, b] = points[k], [c, d] = points[k + 1];
    if ((a < x) !== (c < x)) found.push(b + (x - a) / (c - a) * (d - b));
  }
  return found;
}

function stripsOf(cuts, shapes, curves, low, high) {
  const bounds = [low - 30, ...cuts, high + 30];
  let number = 0;
  const numbered = cuts.map(x => {
    const rows = new Map();
    for (const c of curves) for (const y of meetings(c.points, x)) {
      const key = `${c.source} ${c.colour}`;
      rows.has(key) ? rows.get(key).ys.push(y) : rows.set(key, {ys: [y], colour: c.colour, left: c.left});
    }
    const list = [...rows.values()];
    list.forEach(r => { r.middle = r.ys.reduce((a, b) => a + b) / r.ys.length; });
    list.sort((a, b) => a.middle - b.middle).forEach(r => { r.number = ++number; });
    const ys = spreadOut(list.map(r => r.middle));
    list.forEach((r, k) => { r.y = ys[k]; });
    return list;
  });
  return bounds.slice(0, -1).map((x0, k) => {
    const x1 = bounds[k + 1], ys = [];
    for (const [x, y, , h] of shapes) if (x >= x0 && x < x1) ys.push(y - h / 2 - 14, y + h / 2 + 14);
    for (const c of curves) for (const [x, y] of c.points) if (x >= x0 && x < x1) ys.push(y - 6, y + 6);
    const ends = [[x0, -1, numbered[k - 1] ?? []], [x1, 1, numbered[k] ?? []]];
    for (const [, , list] of ends) for (const r of list) ys.push(r.y - PAPER.pill, r.y + PAPER.pill);
    const low_ = Math.max(...ys), names = [];
    let top = Math.min(...ys);
    const around = Object.entries(groupAt).map(([g, [x, y, w, h]]) => ({g, a: Math.max(x - w / 2, x0), b: Math.min(x + w / 2, x1), whole: w, y0: y - h / 2, y1: y + h / 2}))
      .filter(o => isOpen[o.g] && o.b - o.a >= Math.min(60, o.whole) && o.y0 < low_ && o.y1 > top).sort((p, q) => (q.y1 - q.y0) - (p.y1 - p.y0));
    const hidden = around.filter(o => o.y0 < top + 8);
    top -= 13 * hidden.length;
    hidden.forEach((o, j) => names.push([o, Math.max(o.y0, top + 13 * j) + 11]));
    for (const o of around) if (!hidden.includes(o)) names.push([o, o.y0 + 12]);
    const left = k ? PAPER.aside : 0, right = k < cuts.length ? PAPER.aside : 0;
    return {x0, x1, top, left, right, ends, names, w: x1 - x0 + left + right, h: low_ - top};
  });
}

function planned(strips) {
  const plans = [];
  for (const [W, H] of [[PAPER.long, PAPER.short], [PAPER.short, PAPER.long]]) {
    const room = H - 78;
    const most = Math.min(1, W / Math.max(...strips.map(s => s.w)), room / Math.max(...strips.map(s => s.h)));
    const whole = room / (strips.reduce((a, s) => a + s.h + PAPER.between, 0));
    for (const scale of [most, Math.min(most, Math.max(PAPER.least, whole)), Math.min(most, PAPER.least)]) {
      const pages = [];
      let left = -1;
      for (const s of strips) {
        if (s.h * scale > left + 1e-6) { pages.push([]); left = room; }
        pages[pages.length - 1].push(s);
        left -= (s.h + PAPER.between) * scale;
      }
      plans.push({W, H, scale, pages, rank: [+(scale >= PAPER.least), -pages.length, -strips.length, scale]});
    }
  }
  return plans.reduce((a, b) => after(b.rank, a.rank) ? b : a);
}
const after = (a, b) => { for (let k = 0; k < a.length; k++) if (a[k] !== b[k]) return a[k] > b[k]; return false; };

function stripSvg(s, k, scale, inner) {
  const y0 = s.top, marks = [];
  for (const [x, side, list] of s.ends) for (const r of list) {
    const far = x + side * (PAPER.aside - 20), w = Math.max(PAPER.pill, String(r.number).length * 5.6 + 8);
    const dash = DASHES[r.colour] ?? "";
    for (const y of r.ys) marks.push(`<path d="M${r1(x)},${r1(y)}C${r1(x + side * 10)} ${r1(y)} ${r1(far - side * 10)} ${r1(r.y)} ${r1(far)} ${r1(r.y)}"
      class="f-none s-${r.colour}" stroke-width="1.5" stroke-dasharray="${dash}"/>`);
    marks.push(`<rect x="${r1(side > 0 ? far : far - w)}" y="${r1(r.y - 7)}" width="${r1(w)}" height="14" rx="7" class="f-paper s-${r.colour}"/>
      <text x="${r1(far + side * w / 2)}" y="${r1(r.y + 3)}" font-size="8.5" text-anchor="middle" class="f-ink">${r.number}</text>`);
  }
  for (const [o, y] of s.names) {
    const fits = Math.floor((o.b - o.a - 16) / 6.9), name = S[G[o.g][0]];
    marks.push(`<text x="${r1(o.a + 9)}" y="${r1(y)}" font-size="10" font-weight="bold" class="f-faint">${esc(name.length > fits ? name.slice(0, fits - 1) + "…" : name)}</text>`);
  }
  return `<svg viewBox="${r1(s.x0 - s.left)} ${r1(y0)} ${r1(s.w)} ${r1(s.h)}" width="${r1(s.w * scale)}" height="${r1(s.h * scale)}">
    <clipPath id="strip${k}"><rect x="${r1(s.x0)}" y="${r1(y0)}" width="${r1(s.x1 - s.x0)}" height="${r1(s.h)}"/></clipPath>
    <g clip-path="url(#strip${k})">${inner}</g>${marks.join("")}</svg>`;
}

function sheets() {
  const shapes = [...Object.values(at), ...chips, ...Object.entries(groupAt).filter(([g]) => !isOpen[g]).map(([, box]) => box)];
  const curves = [...world.querySelectorAll("path[data-s]")].map(p => {
    const long = p.getTotalLength(), n = Math.max(6, Math.ceil(long / 12));
    const points = Array.from({length: n + 1}, (_, k) => { const q = p.getPointAtLength(long * k / n); return [q.x, q.y]; });
    return {points, source: p.dataset.s, colour: p.getAttribute("class").match(/s-(\w+)/)[1]};
  });
  if (!shapes.length) return null;
  const spans = shapes.map(([x, , w]) => [x - w / 2, x + w / 2]).sort((a, b) => a[0] - b[0]);
  const low = spans[0][0], high = Math.max(...spans.map(s => s[1]));
  let best = null, since = 0;
  for (const cuts of cutsOf(spans, low, high)) {
    const plan = planned(stripsOf(cuts, shapes, curves, low, high));
    if (!best || after(plan.rank, best.rank)) { best = plan; since = 0; }
    if (best.rank[0] && ++since > PAPER.patience) break;
  }
  return best;
}

const papers = document.createElement("div");
papers.id = "papers";
const size_of_paper = document.createElement("style");
function onPaper() {
  const plan = sheets(), dims = world.querySelectorAll(".dim");
  dims.forEach(e => e.classList.remove("dim"));
  const inner = world.innerHTML, about = $("about").textContent;
  dims.forEach(e => e.classList.add("dim"));
  if (!plan) return;
  const sign = (colour, text) => `<span><svg width="30" height="10"><path d="M0,5H30" class="f-none s-${colour}" stroke-width="1.5" stroke-dasharray="${DASHES[colour] ?? ""}"/></svg> ${text}</span>`;
  const used = new Set(D.edges.map(e => KINDS[e[2]]));
  const legend = [["forward", "forward"], ["backward", "backward"], ["kept", "kept for the way back"], ["read", "read again"]]
    .filter(([c]) => used.has(c)).map(([c, t]) => sign(c, t)).join("") + ($("regions")?.innerHTML ?? "");
  let k = 0;
  papers.innerHTML = plan.pages.map((page, n) => `<section>${n ? "" : `<h1>${esc(D.name)}</h1><p>${esc(about)}</p>`}` +
    page.map(s => stripSvg(s, k++, plan.scale, inner)).reverse().join("") +
    (n + 1 === plan.pages.length ? `<p class="legend">${legend}</p>` : "") + "</section>").join("");
  size_of_paper.textContent = `@media print { @page { size: A4 ${plan.W > plan.H ? "landscape" : "portrait"}; margin: 10mm; } }`;
  document.head.append(size_of_paper);
  document.body.append(papers);
}
addEventListener("beforeprint", onPaper);
addEventListener("afterprint", () => papers.remove());
