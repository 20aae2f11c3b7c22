/** One run's state in the browser: the bundle, kept up to date by deltas, and the commands that are under way. */

import type {
  Bundle,
  ChatItem,
  Curve,
  Delta,
  ImportanceKind,
  ImportancesMessage,
  Incoming,
  Item,
  ItemKind,
  Model,
  Run,
  Trial,
  Version
} from './bundle';
import { trialByNumber } from './derive';

export interface Command {
  id: string;
  name: string;
  value: unknown;
  state: 'sent' | 'accepted' | 'refused' | 'applied';
  error?: string;
  trial?: number;
  /** The command that takes it back. */
  undo?: { name: string; value: unknown };
}

const EMPTY_RUN: Run = {
  seconds: 0,
  status: 'running',
  reason: '',
  locked: [],
  default_value: null,
  best_value: null,
  best_number: null,
  summary: null
};

const KEPT = 20;

/** Any data as a bundle: what is missing is empty, so that an old or damaged file still shows what it has. */
export function asBundle(data: unknown): Bundle {
  const raw = (data && typeof data === 'object' ? data : {}) as Partial<Bundle>;
  const list = <T>(entries: unknown, good: (entry: T) => boolean): T[] =>
    Array.isArray(entries)
      ? (entries as T[]).filter(e => e !== null && typeof e === 'object' && good(e))
      : [];
  const specs = (entries: unknown) =>
    list<Version['params'][number]>(entries, p => typeof p.name === 'string');
  return {
    schema: raw.schema ?? 1,
    seq: raw.seq ?? 0,
    run: { ...EMPTY_RUN, ...raw.run },
    space: {
      outer: specs(raw.space?.outer),
      versions: list<Version>(raw.space?.versions, v => typeof v.version === 'number').map(v => ({
        ...v,
        params: specs(v.params)
      }))
    },
    trials: list<Trial>(raw.trials, t => typeof t.n === 'number').map(asTrial),
    chat: list<ChatItem>(raw.chat, c => typeof c.id === 'string'),
    importances: raw.importances ?? {},
    cost: {
      requests: 0,
      input_tokens: 0,
      output_tokens: 0,
      money: null,
      llm_seconds: 0,
      fit_seconds: 0,
      deciding_seconds: 0,
      ...raw.cost
    },
    omitted: { trials: 0, chat: 0, versions: 0, ...raw.omitted }
  };
}

function asTrial(trial: Partial<Trial> & { n: number }): Trial {
  return { state: 'RUNNING', source: 'base', ...trial, params: trial.params ?? {} };
}

/** The entries with one merged into that of the same key, or appended. */
function merged<T>(entries: T[], entry: T, key: keyof T): T[] {
  for (let i = entries.length - 1; i >= 0; i--) {
    if (entries[i]![key] === entry[key]) {
      const next = entries.slice();
      next[i] = { ...entries[i]!, ...entry };
      return next;
    }
  }
  return [...entries, entry];
}

/** The bundle after one delta. Entries that did not change are the same objects as before. */
export function applyDelta(bundle: Bundle, delta: Delta): Bundle {
  const next: Bundle = { ...bundle, seq: delta.seq };
  if (delta.run || delta.seconds !== undefined) {
    next.run = { ...bundle.run, ...delta.run, seconds: delta.seconds ?? bundle.run.seconds };
  }
  if (delta.cost) {
    next.cost = { ...bundle.cost, ...delta.cost };
  }
  if (delta.importances) {
    next.importances = delta.importances;
  }
  if (delta.chat) {
    next.chat = merged(bundle.chat, delta.chat, 'id');
  }
  if (delta.space || delta.outer) {
    const { versions, outer } = bundle.space;
    const version = delta.space && { ...delta.space, params: delta.space.params ?? [] };
    next.space = {
      outer: delta.outer ?? outer,
      versions: version ? merged(versions, version, 'version') : versions
    };
  }
  if (delta.trial) {
    const before = trialByNumber(bundle.trials, delta.trial.n);
    const trial: Trial = before ? { ...before, ...delta.trial } : asTrial(delta.trial);
    if (trial.state !== 'RUNNING') {
      delete trial.folds;
    }
    next.trials = before ? bundle.trials.map(t => (t === before ? trial : t)) : [...bundle.trials, trial];
  }
  return next;
}

export class Store {
  bundle: Bundle;
  /** Whether the run can be steered: it has a kernel and has not ended. */
  readonly canSend: boolean;
  connected = true;
  /** Whether the kernel that is gone was restarted. */
  restarted = false;
  /** The runs to compare with, this one first; null until they were asked for. */
  curves: Curve[] | null = null;
  /** Importances with their intervals by kind, as far as they were asked for; `waiting` until they come. */
  importances: Partial<Record<ImportanceKind, ImportancesMessage | 'waiting'>> = {};
  /** Whether the run went on while this view showed it: its controls keep their place when it has ended. */
  wasLive: boolean;
  private onPage: ((html: string) => void) | undefined;
  /** The commands that this view sent, oldest first. */
  commands: Command[] = [];

  private listeners = new Set<() => void>();
  private requested = new Set<string>();
  private view = `${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
  private count = 0;
  private unsubscribe: (() => void) | undefined;
  private recent: { chat: ChatItem[]; commands: Command[]; list: Command[] } | undefined;

  constructor(private model: Model) {
    this.bundle = asBundle(model.snapshot);
    this.canSend = Boolean(model.send);
    this.wasLive = goesOn(model.snapshot);
    this.unsubscribe = model.subscribe?.(message => this.receive(message));
    if (model.subscribe) {
      model.send?.({ get: 'snapshot' });
    }
  }

  get live(): boolean {
    const { status } = this.bundle.run;
    return this.canSend && this.connected && (status === 'running' || status === 'paused');
  }

  /** Whether it can be stopped: its trials go on, or the check of its best configuration does. */
  get canStop(): boolean {
    return this.canSend && this.connected && goesOn(this.bundle);
  }

  /** Whether trials can be starred and noted: the run goes on, or its kernel still holds the result. */
  get canMark(): boolean {
    return this.canStop || this.canAsk;
  }

  /** Whether the kernel of a run that has ended can still be asked about it. */
  get canAsk(): boolean {
    return this.canSend && this.connected && this.bundle.run.has_result === true;
  }

  /** Why the last command of a name was refused; empty if it was not. */
  refusal(name: string): string {
    const last = this.commands.filter(c => c.name === name).pop();
    return last?.state === 'refused' ? (last.error ?? '') : '';
  }

  /** The last commands, of this view and of any other (a reloaded page, a line command), oldest first. */
  recentCommands(): Command[] {
    const { chat } = this.bundle;
    if (this.recent?.chat !== chat || this.recent.commands !== this.commands) {
      const fromChat = chat.filter(item => item.kind === 'wish').slice(-KEPT);
      const ids = new Set(fromChat.map(commandId));
      const list = [
        ...fromChat.map(
          (item): Command => ({
            id: commandId(item),
            name: item.wish ?? '',
            value: item.value,
            state: item.state === 'applied' ? 'applied' : 'accepted',
            ...(item.trial !== null ? { trial: item.trial } : {})
          })
        ),
        ...this.commands.filter(c => !ids.has(c.id))
      ].map(c => ({ ...c, ...undoOf(this.commands, c.id) }));
      this.recent = { chat, commands: this.commands, list };
    }
    return this.recent.list;
  }

  /** Whether this is a file of a run that went on when it was saved: it knows nothing of what came later. */
  get isSnapshot(): boolean {
    return !this.canSend && goesOn(this.bundle);
  }

  /** Whether no command has an effect any more, but for marks: the run has ended, or it is gone with its kernel. */
  get over(): boolean {
    return !this.connected || !goesOn(this.bundle);
  }

  /** Those of a name that wait for their trial. */
  pending(name: string): Command[] {
    if (this.over && name !== 'note') {
      return [];
    }
    return this.recentCommands().filter(
      c => c.name === name && (c.state === 'sent' || c.state === 'accepted')
    );
  }

  listen(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  dispose(): void {
    this.unsubscribe?.();
    this.listeners.clear();
  }

  /** Send a command; it shows as pending until the run applies it. Returns its id. */
  command(name: string, value: unknown = null, undo?: Command['undo']): string {
    const id = `${this.view}-${++this.count}`;
    this.commands = [
      ...this.commands.slice(1 - KEPT),
      { id, name, value, state: 'sent', ...(undo ? { undo } : {}) }
    ];
    this.model.send?.({ wish: name, value, id });
    this.notify();
    return id;
  }

  /** Take a command back; it can be taken back once. */
  undo(command: Command): void {
    if (command.undo) {
      this.commands = this.commands.map(({ undo, ...c }) =>
        c.id === command.id || !undo ? c : { ...c, undo }
      );
      this.command(command.undo.name, command.undo.value);
    }
  }

  /** Ask for the curves of the runs beside this one. */
  requestCurves(): void {
    this.model.send?.({ get: 'compare' });
  }

  /** Ask for importances with their intervals, once. */
  requestImportances(kind: ImportanceKind): void {
    if (!this.importances[kind]) {
      this.importances = { ...this.importances, [kind]: 'waiting' };
      this.model.send?.({ get: 'importances', kind });
      this.notify();
    }
  }

  /** Ask for the run's HTML report. */
  requestPage(receive: (html: string) => void): void {
    this.onPage = receive;
    this.model.send?.({ get: 'html' });
  }

  /** Request, once, an entry that came shortened. */
  request(kind: ItemKind, id: string | number): void {
    const key = `${kind}:${id}`;
    if (this.model.send && !this.requested.has(key)) {
      this.requested.add(key);
      this.model.send({ get: 'item', kind, id });
    }
  }

  receive(message: Incoming): void {
    if ('connected' in message) {
      this.connected = message.connected;
      this.restarted = !message.connected && (this.restarted || message.restarted === true);
      this.importances = Object.fromEntries(
        Object.entries(this.importances).filter(([, entry]) => entry !== 'waiting')
      );
    } else if ('snapshot' in message) {
      this.bundle = asBundle(message.snapshot);
      this.requested.clear();
      this.bundle.chat.forEach(item => this.markApplied(item));
      this.connected = true;
      this.restarted = false;
      this.wasLive ||= goesOn(message.snapshot);
    } else if ('ack' in message) {
      this.update(message.ack, message.ok ? 'accepted' : 'refused', message.error);
    } else if ('curves' in message) {
      this.curves = message.curves;
    } else if ('shares' in message) {
      this.importances = { ...this.importances, [message.kind]: message };
    } else if ('html' in message) {
      this.onPage?.(message.html);
    } else if ('item' in message) {
      this.putItem(message.kind, message.item);
    } else if (message.delta.seq > this.bundle.seq) {
      this.receiveDelta(message.delta);
    }
    this.notify();
  }

  private receiveDelta(delta: Delta): void {
    const gap = (delta.since ?? delta.seq - 1) > this.bundle.seq;
    this.bundle = applyDelta(this.bundle, delta);
    this.wasLive ||= goesOn(this.bundle);
    if (gap || delta.stale) {
      this.model.send?.({ get: 'snapshot' });
    }
    if (delta.chat) {
      this.requested.delete(`chat:${delta.chat.id}`);
      this.markApplied(delta.chat);
    }
    if (delta.trial?.more) {
      this.request('trial', delta.trial.n);
    }
    if (delta.space?.more) {
      this.request('space', delta.space.version);
    }
  }

  private putItem(kind: ItemKind, item: Item): void {
    const full = { ...item, more: false };
    const { space } = this.bundle;
    if (kind === 'chat') {
      this.bundle = { ...this.bundle, chat: merged(this.bundle.chat, full as ChatItem, 'id') };
    } else if (kind === 'trial') {
      this.bundle = { ...this.bundle, trials: merged(this.bundle.trials, full as Trial, 'n') };
    } else {
      const versions = merged(space.versions, full as Version, 'version');
      this.bundle = { ...this.bundle, space: { ...space, versions } };
    }
  }

  private markApplied(item: ChatItem): void {
    if (item.kind === 'wish' && item.state === 'applied') {
      this.update(commandId(item), 'applied', undefined, item.trial ?? undefined);
    }
  }

  private update(id: string, state: Command['state'], error?: string, trial?: number): void {
    this.commands = this.commands.map(c => {
      if (c.id !== id || c.state === 'applied') {
        return c;
      }
      return { ...c, state, ...(error ? { error } : {}), ...(trial !== undefined ? { trial } : {}) };
    });
  }

  private notify(): void {
    this.listeners.forEach(listener => listener());
  }
}

function goesOn(data: unknown): boolean {
  const status = (data as { run?: { status?: unknown } } | null | undefined)?.run?.status;
  return ['running', 'paused', 'checking'].includes(String(status));
}

function undoOf(commands: Command[], id: string): Pick<Command, 'undo'> {
  const undo = commands.find(c => c.id === id)?.undo;
  return undo ? { undo } : {};
}

function commandId(item: ChatItem): string {
  return item.id.replace(/^w:/, '');
}
