/** Numbers, times and values as short text. */

import type { ParamSpec, Params, Value } from './bundle';
import { plain } from './safe';

export const MINUS = '\u2212';

/** A name of at most so many characters; long names differ at their ends, so that those are kept. */
export function shortName(name: string, most: number): string {
  const head = Math.min(4, Math.floor(most / 4));
  return name.length <= most ? name : `${name.slice(0, head)}…${name.slice(head + 1 - most)}`;
}

/** A score or a parameter's value with so many significant digits; exponents only where they shorten. */
export function num(x: number | null | undefined, digits = 4): string {
  if (x === null || x === undefined || !Number.isFinite(x)) {
    return '–';
  }
  if (x === 0) {
    return '0';
  }
  const size = Math.abs(x);
  if (size >= 1e6 || size < 1e-3) {
    return x
      .toExponential(Math.min(digits - 1, 2))
      .replace(/\.?0+e/, 'e')
      .replace('e+', 'e')
      .replace(/-/g, MINUS);
  }
  const decimals = Math.max(0, digits - 1 - Math.floor(Math.log10(size)));
  if (Number.isInteger(x) || decimals === 0) {
    return Math.round(x).toLocaleString('en').replace('-', MINUS);
  }
  return x.toFixed(Math.min(decimals, 6)).replace('-', MINUS);
}

/** A parameter's value as Python prints it; numbers without trailing zeros. */
export function val(value: Value | undefined): string {
  if (typeof value === 'number') {
    const text = num(value);
    return text.includes('.') && !text.includes('e') ? text.replace(/\.?0+$/, '') : text;
  }
  if (typeof value === 'boolean') {
    return value ? 'True' : 'False';
  }
  return value === undefined ? '–' : value === null ? 'None' : String(value);
}

export function signed(x: number, digits = 3): string {
  return (x > 0 ? '+' : '') + num(x, digits);
}

export function count(x: number): string {
  return x < 10_000 ? x.toLocaleString('en') : `${num(x / 1000, 3)} k`;
}

export function money(x: number | null): string {
  if (x === null) {
    return '–';
  }
  if (x === 0) {
    return '$0';
  }
  if (x > 0 && x < 0.001) {
    return x < 0.0001 ? '<$0.0001' : `$${x.toFixed(4)}`;
  }
  return `$${x < 1 ? x.toFixed(3) : x.toFixed(2)}`;
}

export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) {
    return '–';
  }
  if (seconds > 0 && seconds < 0.05) {
    return '<0.1 s';
  }
  if (seconds < 10) {
    return `${seconds.toFixed(1)} s`;
  }
  if (seconds < 90) {
    return `${Math.round(seconds)} s`;
  }
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Words in which a number stays on one line with its error. */
export const unbroken = (text: string): string => text.replace(/(?<=\d) ± (?=\d)/g, '\u00a0±\u00a0');

/** Words as a sentence: a capital first, a full stop last, a true minus before numbers, as beside it. */
export function sentence(text: string): string {
  const t = text.trim().replace(/(?<=^|\s)-(?=\d)/g, MINUS);
  return t && t[0]!.toUpperCase() + t.slice(1) + (/[.!?…]$/.test(t) ? '' : '.');
}

/** The words of a reason in markdown, where they stand in one line: without the marks of code and of stress. */
export function unmarked(text: string): string {
  return text.replace(/`([^`\n]+)`/g, '$1').replace(/\*\*(?=\S)([^*\n]+)(?<=\S)\*\*/g, '$1');
}

/** A configuration as Python, ready to paste. */
export function python(params: Params): string {
  const literal = (v: Value) =>
    v === null ? 'None' : v === true ? 'True' : v === false ? 'False' : JSON.stringify(v);
  return `{${Object.entries(params)
    .map(([k, v]) => `${JSON.stringify(k)}: ${literal(v)}`)
    .join(', ')}}`;
}

/** What a table holds under a key that may come from anywhere: never what every object inherits. */
export function entry<T>(table: Record<string, T>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

const SOURCES: Record<string, string> = {
  default: 'default',
  'llm-init': 'LLM, first',
  llm: 'LLM',
  tpe: 'TPE',
  gp: 'GP',
  cmaes: 'CMA-ES',
  hyperopt: 'Hyperopt TPE',
  random: 'random',
  base: 'base sampler',
  rulebook: 'rulebook',
  user: 'you',
  fallback: 'fallback'
};

export function sourceName(source: string): string {
  return plain(entry(SOURCES, source) ?? source);
}

/** A range in words. */
export function rangeText(spec: ParamSpec | undefined): string {
  if (!spec) {
    return 'not searched';
  }
  if (spec.fixed !== undefined) {
    return `fixed at ${plain(val(spec.fixed))}`;
  }
  return spec.choices
    ? spec.choices.map(c => plain(val(c))).join(', ')
    : `${val(spec.low)} to ${val(spec.high)}`;
}
