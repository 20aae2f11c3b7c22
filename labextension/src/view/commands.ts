/** A command in words, for the line under the controls and for the chat. */

import type { Bundle, Params } from './bundle';
import { entry, num, val } from './format';
import { plain } from './safe';
import type { Command } from './store';
import { samplerNames, usesLlm } from './words';

/** The command; a value of any shape may come from a file, and is shown as far as it makes sense. */
export function commandText(name: string, value: unknown, bundle: Pick<Bundle, 'run' | 'cost'>): string {
  const v = (value && typeof value === 'object' ? value : {}) as Record<string, never>;
  switch (name) {
    case 'sampler':
      return `Sampler ${plain(entry(samplerNames(bundle), String(value)) ?? value)}`;
    case 'ratio':
      return `${usesLlm(bundle) ? 'LLM' : 'Rulebook'} share ${num(Number(value), 2)}`;
    case 'hint':
      return `Hint “${plain(value)}”`;
    case 'extend':
      return `${plain(value)} more trials`;
    case 'enqueue':
      return `Run ${configuration(v)}`;
    case 'dequeue':
      return `Do not run ${configuration(v)}`;
    case 'note': {
      const { trial, star, text } = v as { trial?: number; star?: boolean; text?: string };
      const marks = [star ? 'Star' : '', text ? `“${plain(text)}”` : ''].filter(Boolean).join(' and ');
      return `${marks || 'No mark'} on trial ${plain(trial)}`;
    }
    case 'range': {
      const { choices, low, high } = v as { choices?: unknown; low?: number; high?: number };
      const to = Array.isArray(choices)
        ? choices.map(c => plain(val(c))).join(', ')
        : `${val(low)} to ${val(high)}`;
      return `Range of ${plain(v.param)}: ${to}`;
    }
    default: {
      const word = plain(name);
      const first = word.charAt(0).toUpperCase() + word.slice(1);
      return value === null || value === undefined ? first : `${first} ${plain(value)}`;
    }
  }
}

/** How far a command is, in words. `over`: the run has ended, or is gone with its kernel. */
export function progressOf(command: Command, over: boolean): string {
  const { name, state } = command;
  if (over && (state === 'sent' || state === 'accepted') && name !== 'note') {
    return name === 'stop' ? 'the run has ended' : 'not applied, the run has ended';
  }
  switch (state) {
    case 'sent':
      return 'sending';
    case 'accepted':
      return name === 'stop' ? 'after the fold in flight' : 'pending, from the next trial on';
    case 'refused':
      return `refused: ${plain(command.error ?? '')}`;
    default:
      return `applied at trial ${command.trial ?? '?'}`;
  }
}

export function configuration(params: Params): string {
  return Object.entries(params)
    .map(([name, value]) => `${plain(name)} ${plain(val(value))}`)
    .join(', ');
}
