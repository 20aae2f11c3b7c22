/** One run's state in the browser: the bundle, kept true by deltas, and the wishes that are under way. */

import type {
  Bundle,
  ChatItem,
  Delta,
  Incoming,
  ItemKind,
  Model,
  Run,
  Trial,
  Version
} from './bundle';

export interface Wish {
  id: string;
  wish: string;
  value: unknown;
  state: 'sent' | 'accepted' | 'refused' | 'applied';
  error?: string;
  trial?: number;
}

const EMPTY_RUN: Run = {
  seconds: 0,
  status: 'running',
  reason: '',
  default_value: null,
  best_value: null,
  best_number: null,
  summary: null
};

/** Any data as a bundle: what is missing is empty, so that an old or damaged file still shows what it has. */
export function asBundle(data: unknown): Bundle {
  const given = (data && typeof data === 'object' ? data : {}) as Partial<Bundle>;
  const list = <T>(entries: unknown, good: (entry: T) => boolean): T[] =>
    Array.isArray(entries)
      ? (entries as T[]).filter(e => e !== null && typeof e === 'object' && good(e))
      : [];
  const specs = (entries: unknown) =>
    list<Version['params'][number]>(entries, p => typeof p.name === 'string');
  return {
    schema: given.schema ?? 1,
    seq: given.seq ?? 0,
    run: { ...EMPTY_RUN, ...given.run },
    space: {
      outer: specs(given.space?.outer),
      versions: list<Version>(given.space?.versions, v => typeof v.version === 'number').map(
        v => ({ ...v, params: specs(v.params) })
      )
    },
    trials: list<Trial>(given.trials, t => typeof t.n === 'number').map(asTrial),
    chat: list<ChatItem>(given.chat, c => typeof c.id === 'string'),
    importances: given.importances ?? {},
    cost: {
      requests: 0,
      input_tokens: 0,
      output_tokens: 0,
      money: null,
      llm_seconds: 0,
      fit_seconds: 0,
      ...given.cost
    },
    omitted: { trials: 0, chat: 0, versions: 0, ...given.omitted }
  };
}

function asTrial(trial: Partial<Trial> & { n: number }): Trial {
  return { state: 'RUNNING', source: 'base', ...trial, params: trial.params ?? {} };
}

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
export function folded(bundle: Bundle, delta: Delta): Bundle {
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
    const known = bundle.trials.find(t => t.n === delta.trial!.n);
    const trial: Trial = known ? { ...known, ...delta.trial } : asTrial(delta.trial);
    if (trial.state !== 'RUNNING') {
      delete trial.folds;
    }
    next.trials = known
      ? bundle.trials.map(t => (t === known ? trial : t))
      : [...bundle.trials, trial];
  }
  return next;
}

export class Store {
  bundle: Bundle;
  /** Whether the run can be steered: it has a kernel and has not ended. */
  readonly canSend: boolean;
  connected = true;
  wishes: Wish[] = [];

  private listeners = new Set<() => void>();
  private asked = new Set<string>();
  private view = `${Date.now().toString(36)}${Math.random().toString(36).slice(2, 6)}`;
  private count = 0;
  private unsubscribe: (() => void) | undefined;

  constructor(private model: Model) {
    this.bundle = asBundle(model.snapshot);
    this.canSend = Boolean(model.send);
    this.unsubscribe = model.subscribe?.(message => this.receive(message));
    if (model.subscribe) {
      model.send?.({ get: 'snapshot' });
    }
  }

  get live(): boolean {
    const { status } = this.bundle.run;
    return this.canSend && (status === 'running' || status === 'paused');
  }

  /** The last wishes, of this view and of any other hand (a reloaded page, a line command), oldest first. */
  recentWishes(): Wish[] {
    const told = this.bundle.chat.filter(item => item.kind === 'wish').slice(-20);
    const ids = new Set(told.map(item => item.id.replace(/^w:/, '')));
    return [
      ...told.map((item): Wish => ({
        id: item.id.replace(/^w:/, ''),
        wish: item.wish ?? '',
        value: item.value,
        state: item.state === 'applied' ? 'applied' : 'accepted',
        ...(item.trial !== null ? { trial: item.trial } : {})
      })),
      ...this.wishes.filter(w => !ids.has(w.id))
    ];
  }

  /** Those of a name that wait for their trial. */
  pending(name: string): Wish[] {
    return this.recentWishes().filter(w => w.wish === name && (w.state === 'sent' || w.state === 'accepted'));
  }

  listen(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  dispose(): void {
    this.unsubscribe?.();
    this.listeners.clear();
  }

  /** Send a wish; it shows as pending until the run applies it. */
  wish(wish: string, value: unknown = null): void {
    const id = `${this.view}-${++this.count}`;
    this.wishes = [...this.wishes.slice(-19), { id, wish, value, state: 'sent' }];
    this.model.send?.({ wish, value, id });
    this.changed();
  }

  /** Ask once for an entry that came shortened. */
  want(kind: ItemKind, id: string | number): void {
    const key = `${kind}:${id}`;
    if (this.model.send && !this.asked.has(key)) {
      this.asked.add(key);
      this.model.send({ get: 'item', kind, id });
    }
  }

  receive(message: Incoming): void {
    if ('connected' in message) {
      this.connected = message.connected;
    } else if ('snapshot' in message) {
      this.bundle = asBundle(message.snapshot);
      this.asked.clear();
      this.bundle.chat.forEach(item => this.settle(item));
      this.connected = true;
    } else if ('ack' in message) {
      this.edit(message.ack, message.ok ? 'accepted' : 'refused', message.error);
    } else if ('item' in message) {
      this.take(message.kind, message.item);
    } else if (message.delta.seq > (this.bundle.seq ?? 0)) {
      this.follow(message.delta);
    }
    this.changed();
  }

  private follow(delta: Delta): void {
    const gap = (delta.since ?? delta.seq - 1) > (this.bundle.seq ?? 0);
    this.bundle = folded(this.bundle, delta);
    if (gap || delta.stale) {
      this.model.send?.({ get: 'snapshot' });
    }
    if (delta.chat) {
      this.asked.delete(`chat:${delta.chat.id}`);
      this.settle(delta.chat);
    }
    if (delta.trial?.more) {
      this.want('trial', delta.trial.n);
    }
    if (delta.space?.more) {
      this.want('space', delta.space.version);
    }
  }

  private take(kind: ItemKind, item: ChatItem | Trial | Version): void {
    const whole = { ...item, more: false };
    const { space } = this.bundle;
    if (kind === 'chat') {
      this.bundle = { ...this.bundle, chat: merged(this.bundle.chat, whole as ChatItem, 'id') };
    } else if (kind === 'trial') {
      this.bundle = { ...this.bundle, trials: merged(this.bundle.trials, whole as Trial, 'n') };
    } else {
      const versions = merged(space.versions, whole as Version, 'version');
      this.bundle = { ...this.bundle, space: { ...space, versions } };
    }
  }

  private settle(item: ChatItem): void {
    if (item.kind === 'wish' && item.state === 'applied') {
      this.edit(item.id.replace(/^w:/, ''), 'applied', undefined, item.trial ?? undefined);
    }
  }

  private edit(id: string, state: Wish['state'], error?: string, trial?: number): void {
    this.wishes = this.wishes.map(w => {
      if (w.id !== id || w.state === 'applied') {
        return w;
      }
      return { ...w, state, ...(error ? { error } : {}), ...(trial !== undefined ? { trial } : {}) };
    });
  }

  private changed(): void {
    this.listeners.forEach(listener => listener());
  }
}
