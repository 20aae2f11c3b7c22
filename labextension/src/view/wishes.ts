/** A wish in words, for the line under the controls and for the chat. */

import type { Params } from './bundle';
import { entry, num, val } from './format';
import { plain } from './safe';

export const MODES: Record<string, string> = { llm: 'LLM', 'llm-tpe': 'LLM-TPE', tpe: 'TPE' };

/** What was wished for; a value of any shape may come from a file, and is shown as far as it makes sense. */
export function wishWords(wish: string, value: unknown): string {
  const v = (value && typeof value === 'object' ? value : {}) as Record<string, never>;
  switch (wish) {
    case 'sampler':
      return `Sampler ${plain(entry(MODES, String(value)) ?? value)}`;
    case 'ratio':
      return `LLM share ${num(Number(value), 2)}`;
    case 'hint':
      return `Hint “${plain(value)}”`;
    case 'extend':
      return `${plain(value)} more trials`;
    case 'enqueue':
      return `Run ${configuration(v)}`;
    case 'range': {
      const { choices, low, high } = v as { choices?: unknown; low?: number; high?: number };
      const to = Array.isArray(choices) ? choices.map(c => plain(val(c))).join(', ') : `${val(low)} to ${val(high)}`;
      return `Range of ${plain(v['param'])}: ${to}`;
    }
    default: {
      const name = plain(wish);
      const first = name.charAt(0).toUpperCase() + name.slice(1);
      return value === null || value === undefined ? first : `${first} ${plain(value)}`;
    }
  }
}

export function configuration(params: Params): string {
  return Object.entries(params)
    .map(([name, value]) => `${plain(name)} ${plain(val(value))}`)
    .join(', ');
}
