/** Files that a reader takes away. */

import type { Bundle } from './bundle';
import { parameters } from './derive';

const quoted = (value: unknown): string => {
  const text = value === null || value === undefined ? '' : String(value);
  // a spreadsheet would carry out what begins like a formula, and names come from outside
  const safe = typeof value === 'string' && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
};

/** All trials as CSV, with a column for each parameter; scores as they are shown. */
export function trialsCsv(bundle: Bundle): string {
  const names = parameters(bundle).map(p => p.name);
  const head = [
    'trial',
    'state',
    bundle.run.metric ?? 'score',
    'std',
    'source',
    'seconds',
    'error',
    'star',
    'note',
    ...names
  ];
  const rows = bundle.trials.map(t => [
    t.n,
    t.state,
    t.value,
    t.std,
    t.source,
    t.seconds,
    t.error,
    t.star ? 1 : 0,
    t.note,
    ...names.map(name => t.params[name])
  ]);
  return [head, ...rows].map(row => row.map(quoted).join(',')).join('\r\n');
}

const STYLES = [
  'fill',
  'fill-opacity',
  'stroke',
  'stroke-width',
  'stroke-dasharray',
  'opacity',
  'paint-order',
  'font-family',
  'font-size',
  'font-weight'
];
const SVG = 'http://www.w3.org/2000/svg';
const MARGIN = 16;

/** A copy of a chart that needs no style sheet. */
function plainChart(chart: SVGSVGElement): SVGSVGElement {
  const copy = chart.cloneNode(true) as SVGSVGElement;
  const [from, to] = [chart.querySelectorAll('*'), copy.querySelectorAll('*')];
  from.forEach((element, i) => {
    const style = getComputedStyle(element);
    for (const name of STYLES) {
      to[i]!.setAttribute(name, style.getPropertyValue(name));
    }
  });
  copy.querySelectorAll('.reach, .handles, title').forEach(element => element.remove());
  for (const element of [copy, ...copy.querySelectorAll('*')]) {
    for (const name of ['class', 'style', 'tabindex', 'role', 'id']) {
      element.removeAttribute(name);
    }
  }
  return copy;
}

/** All charts of a pane as one SVG document, where they stand in it; null where it has none. */
export function paneSvg(pane: Element, title: string): SVGSVGElement | null {
  const charts = [...pane.querySelectorAll<SVGSVGElement>('.chart > svg')];
  if (charts.length === 0) {
    return null;
  }
  const boxes = charts.map(chart => chart.getBoundingClientRect());
  const left = Math.min(...boxes.map(b => b.left)) - MARGIN;
  const top = Math.min(...boxes.map(b => b.top)) - 2 * MARGIN - 18;
  const width = Math.ceil(Math.max(...boxes.map(b => b.right)) - left + MARGIN);
  const height = Math.ceil(Math.max(...boxes.map(b => b.bottom)) - top + MARGIN);
  const { color, backgroundColor, fontFamily } = getComputedStyle(pane.closest('.view') ?? pane);
  const document_ = document.createElementNS(SVG, 'svg');
  document_.setAttribute('xmlns', SVG);
  document_.setAttribute('viewBox', `0 0 ${width} ${height}`);
  document_.setAttribute('width', String(width));
  document_.setAttribute('height', String(height));
  const add = (name: string, attributes: Record<string, string | number>, text = '') => {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) {
      element.setAttribute(key, String(value));
    }
    element.textContent = text;
    document_.append(element);
  };
  const font = { fill: color, 'font-family': fontFamily, 'font-weight': 600 };
  add('rect', { width, height, fill: backgroundColor });
  add('text', { x: MARGIN, y: MARGIN + 6, 'font-size': 14, ...font }, title);
  charts.forEach((chart, i) => {
    const name = chart.closest('figure')?.querySelector('.param-name')?.textContent;
    const [x, y] = [boxes[i]!.left - left, boxes[i]!.top - top];
    if (name) {
      add('text', { x, y: y - 8, 'font-size': 12, ...font }, name);
    }
    const copy = plainChart(chart);
    copy.setAttribute('x', String(x));
    copy.setAttribute('y', String(y));
    copy.setAttribute('overflow', 'visible');
    document_.append(copy);
  });
  return document_;
}

export const svgText = (svg: SVGSVGElement): string => new XMLSerializer().serializeToString(svg);

/** The picture at twice its size in pixels, as PNG. */
export async function svgPng(svg: SVGSVGElement): Promise<Blob> {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(svgText(svg))}`;
  await image.decode();
  const canvas = document.createElement('canvas');
  canvas.width = 2 * Number(svg.getAttribute('width'));
  canvas.height = 2 * Number(svg.getAttribute('height'));
  canvas.getContext('2d')!.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) =>
    canvas.toBlob(blob => (blob ? resolve(blob) : reject(new Error('no picture'))), 'image/png')
  );
}

/** Let the browser save a text or a picture as a file. */
export function download(content: string | Blob, name: string, type: string): void {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name.replace(/[^\w.-]+/g, '_');
  link.click();
  URL.revokeObjectURL(url);
}
