/** What stands on the `%%sllmbo` line of a cell: where options can be completed and explained. Pure. */

import table from './options.json';

export interface OptionRow {
  spellings: string[];
  metavar: string;
  help: string;
  shown: string;
  choices: string[];
  /** What is offered after it: its choices, or names that are known of those that it takes. */
  values: string[];
  example: string;
}

export const OPTIONS: OptionRow[] = table;

const BY_SPELLING = new Map(OPTIONS.flatMap(o => o.spellings.map(s => [s, o] as const)));

/** Whether the text is a cell of this magic. */
export function isOurs(text: string): boolean {
  return /^\s*%%sllmbo\b/.test(text);
}

/** The end of the magic's line: it goes on after a backslash. */
export function lineEnd(text: string): number {
  let at = text.indexOf('%%sllmbo');
  for (;;) {
    const end = text.indexOf('\n', at);
    if (end < 0) {
      return text.length;
    }
    if (!text.slice(at, end).trimEnd().endsWith('\\')) {
      return end;
    }
    at = end + 1;
  }
}

export interface Completion {
  label: string;
  documentation: string;
}

/** What fits at an offset of a cell: options, or the values of the option before; null outside the line. */
export function complete(
  text: string,
  offset: number
): { start: number; end: number; items: Completion[] } | null {
  if (!isOurs(text) || offset > lineEnd(text)) {
    return null;
  }
  const before = text.slice(0, offset);
  const token = /[^\s=]*$/.exec(before)![0];
  const start = offset - token.length;
  const previous = /(\S+?)(?:\s+|=)$/.exec(before.slice(0, start))?.[1] ?? '';
  const option = BY_SPELLING.get(previous);
  if (option?.metavar) {
    const values = option.values.length ? option.values : option.example ? [option.example] : [];
    return {
      start,
      end: offset,
      items: values.filter(v => v.startsWith(token)).map(label => ({ label, documentation: option.help }))
    };
  }
  if (!token.startsWith('-')) {
    return null;
  }
  const present = new Set(
    text
      .slice(0, lineEnd(text))
      .split(/[\s=]+/)
      .filter(t => t !== token)
  );
  return {
    start,
    end: offset,
    items: OPTIONS.filter(o => !o.spellings.some(s => present.has(s))).flatMap(o =>
      o.spellings.filter(s => s.startsWith(token)).map(label => ({ label, documentation: explain(o) }))
    )
  };
}

/** An option in plain words. */
export function explain(option: OptionRow): string {
  const lines = [option.help];
  if (option.choices.length) {
    lines.push(`Values: ${option.choices.join(', ')}`);
  }
  if (option.shown) {
    lines.push(`Default: ${option.shown}`);
  }
  if (option.example) {
    lines.push(`Example: ${option.spellings[0]} ${option.example}`);
  }
  return lines.join('\n');
}

/** The option under an offset, with its extent. */
export function optionAt(
  text: string,
  offset: number
): { start: number; end: number; option: OptionRow } | null {
  if (!isOurs(text) || offset > lineEnd(text)) {
    return null;
  }
  for (const match of text.slice(0, lineEnd(text)).matchAll(/--[\w-]+/g)) {
    const [start, end] = [match.index, match.index + match[0].length];
    const option = BY_SPELLING.get(match[0]);
    if (option && start <= offset && offset <= end) {
      return { start, end, option };
    }
  }
  return null;
}

export interface Defaults {
  llm: string;
  sampler: string;
  nTrials: number;
  maxRequests: number;
  maxTokens: number;
  maxCost: number;
}

/** A cell's text with the magic's line on top; the options are those of the settings that differ from ours. */
export function wrapped(text: string, name: string, defaults: Defaults): string {
  const options = [
    defaults.llm && defaults.llm !== 'rulebook' ? `--llm ${defaults.llm}` : '',
    defaults.sampler && defaults.sampler !== 'llm-tpe' ? `--sampler ${defaults.sampler}` : '',
    defaults.nTrials && defaults.nTrials !== 50 ? `--n-trials ${defaults.nTrials}` : '',
    defaults.maxRequests > 0 ? `--max-requests ${defaults.maxRequests}` : '',
    defaults.maxTokens > 0 ? `--max-tokens ${defaults.maxTokens}` : '',
    defaults.maxCost > 0 ? `--max-cost ${defaults.maxCost}` : ''
  ].filter(Boolean);
  return `${['%%sllmbo', name, ...options].join(' ')}\n${text}`;
}

/** The first of `run`, `run2`, ... that no cell uses yet. */
export function freeName(cells: string[]): string {
  const used = new Set(cells.flatMap(t => /^\s*%%sllmbo\s+([A-Za-z_]\w*)/.exec(t)?.[1] ?? []));
  for (let i = 1; ; i++) {
    const name = i === 1 ? 'run' : `run${i}`;
    if (!used.has(name)) {
      return name;
    }
  }
}
