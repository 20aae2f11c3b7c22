/** The chat's entries in the order in which they happened. Pure. */

import type { ChatItem, Trial, Version } from './bundle';
import { trialByNumber } from './derive';

export type Entry =
  | { key: string; time: number; item: ChatItem }
  | { key: string; time: number; version: Version; before: Version | undefined }
  | { key: string; time: number; proposal: Trial };

/** Messages, new ranges, and proposals that came with a reason but without a request, as they happened. */
export function entriesOf(chat: ChatItem[], versions: Version[], trials: Trial[]): Entry[] {
  const entries: Entry[] = [
    ...chat.map(item => ({ key: item.id, time: item.time, item })),
    ...versions.map((version, i) => ({
      key: `v${version.version}`,
      time: version.time ?? timeOf(version.trial, trials),
      version,
      before: versions[i - 1]
    })),
    ...trials
      .filter(t => t.reason && (t.request === null || t.request === undefined))
      .map(t => ({ key: `t${t.n}`, time: t.time ?? 0, proposal: t }))
  ];
  return entries.sort((a, b) => a.time - b.time);
}

function timeOf(n: number, trials: Trial[]): number {
  return trialByNumber(trials, n)?.time ?? 0;
}
