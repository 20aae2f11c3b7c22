/** Points as SVG paths: the shape says where a trial came from, so that colour is never needed to know it. */

import { entry } from './format';

export type Shape =
  | 'circle'
  | 'square'
  | 'diamond'
  | 'up'
  | 'down'
  | 'left'
  | 'right'
  | 'plus'
  | 'ring'
  | 'frame'
  | 'hourglass'
  | 'bow';

/** One shape for each source: any two of them can be in one legend, in a study that several programs share. */
export const SHAPES: Record<string, Shape> = {
  default: 'plus',
  'llm-init': 'right',
  llm: 'circle',
  rulebook: 'diamond',
  user: 'up',
  fallback: 'down',
  tpe: 'square',
  gp: 'left',
  cmaes: 'hourglass',
  hyperopt: 'bow',
  random: 'ring',
  base: 'frame'
};

export function shapeOf(source: string): Shape {
  return entry(SHAPES, source) ?? 'square';
}

/** The group of sources that shares a colour. */
export function hueOf(source: string): 'llm' | 'base' | 'rulebook' | 'user' | 'fallback' | 'default' {
  switch (source) {
    case 'llm':
    case 'llm-init':
      return 'llm';
    case 'rulebook':
    case 'user':
    case 'fallback':
    case 'default':
      return source;
    default:
      return 'base';
  }
}

const r1 = (x: number) => Math.round(x * 10) / 10;

/** One point of "radius" r at (x, y); paths of many points can be joined into one. */
export function point(shape: Shape, cx: number, cy: number, r: number): string {
  const [x, y] = [r1(cx), r1(cy)];
  switch (shape) {
    case 'circle':
      return `M${x - r},${y}a${r},${r} 0 1 0 ${2 * r},0a${r},${r} 0 1 0 ${-2 * r},0Z`;
    case 'ring': {
      const s = r1(r * 0.5);
      return (
        point('circle', x, y, r) +
        `M${r1(x - s)},${y}a${s},${s} 0 1 1 ${2 * s},0a${s},${s} 0 1 1 ${-2 * s},0Z`
      );
    }
    case 'square': {
      const s = r1(r * 0.88);
      return `M${r1(x - s)},${r1(y - s)}h${2 * s}v${2 * s}h${-2 * s}Z`;
    }
    case 'frame': {
      const s = r1(r * 0.4);
      return `${point('square', x, y, r * 1.05)}M${r1(x - s)},${r1(y - s)}v${2 * s}h${2 * s}v${-2 * s}Z`;
    }
    case 'diamond': {
      const s = r1(r * 1.25);
      return `M${x},${r1(y - s)}l${s},${s}l${-s},${s}l${-s},${-s}Z`;
    }
    case 'up': {
      const s = r1(r * 1.2);
      return `M${x},${r1(y - s)}l${s},${2 * s}h${-2 * s}Z`;
    }
    case 'down': {
      const s = r1(r * 1.2);
      return `M${x},${r1(y + s)}l${s},${-2 * s}h${-2 * s}Z`;
    }
    case 'left':
    case 'right': {
      const s = r1(shape === 'left' ? -r * 1.2 : r * 1.2);
      const h = Math.abs(s);
      return `M${r1(x + s)},${y}l${-2 * s},${-h}v${2 * h}Z`;
    }
    case 'hourglass': {
      const s = r1(r * 1.15);
      return `M${r1(x - s)},${r1(y - s)}h${2 * s}l${-2 * s},${2 * s}h${2 * s}Z`;
    }
    case 'bow': {
      const s = r1(r * 1.15);
      return `M${r1(x - s)},${r1(y - s)}v${2 * s}l${2 * s},${-2 * s}v${2 * s}Z`;
    }
    case 'plus': {
      const [a, b] = [r1(r * 0.4), r1(r * 1.3)];
      const c = r1(b - a);
      return `M${r1(x - a)},${r1(y - b)}h${2 * a}v${c}h${c}v${2 * a}h${-c}v${c}h${-2 * a}v${-c}h${-c}v${-2 * a}h${c}Z`;
    }
  }
}

/** Where a range changed: a small flag that points down from (x, y). */
export const CHANGE = (x: number, y: number): string => `M${r1(x - 4)},${r1(y)}h8l-4,7Z`;

/** A trial without a score that counts: failed a cross, infeasible three strokes, pruned a stopped line, cut off two. */
export function outMark(end: string, x: number, y: number): string {
  const [cx, cy] = [r1(x), r1(y)];
  switch (end) {
    case 'FAIL':
      return `M${r1(cx - 4)},${r1(cy - 4)}l8,8m0,-8l-8,8`;
    case 'CUT_OFF':
      return `M${r1(cx - 2)},${r1(cy + 4)}v-8m4,0v8`;
    case 'INFEASIBLE':
      return `M${cx},${r1(cy + 4)}v-4l-4,-4m4,4l4,-4`;
    default:
      return `M${r1(cx - 4)},${r1(cy + 4)}h8m-4,0v-8`;
  }
}
