/** The bundle of one run, schema 1, as `sllmbo_magic/report/bundle.py` makes it, and the messages about it. */

export type Value = string | number | boolean | null;
export type Params = Record<string, Value>;

export interface ParamSpec {
  name: string;
  type: 'float' | 'int' | 'categorical';
  low?: number;
  high?: number;
  log?: boolean;
  step?: number | null;
  choices?: Value[];
  when?: { param: string; in: Value[] };
  fixed?: Value;
}

export interface Verification {
  verdict?: string;
  text?: string;
  gain?: number | null;
  noise?: number | null;
}

export interface Summary {
  text?: string;
  gain?: number | null;
  verification?: Verification | null;
}

export interface Run {
  name?: string;
  estimator?: string;
  metric?: string;
  direction?: string;
  n_trials?: number;
  sampler?: string;
  llm?: string;
  llm_ratio?: number | null;
  schedule?: string;
  seed?: number | null;
  n_folds?: number;
  description?: string;
  taken?: string;
  started_at?: number;
  seconds: number;
  status: string;
  reason: string;
  locked?: string[];
  default_value: number | null;
  best_value: number | null;
  best_number: number | null;
  summary: Summary | null;
}

export interface Version {
  version: number;
  trial: number;
  params: ParamSpec[];
  reason: string;
  by: string;
  time?: number;
  more?: boolean;
}

export interface Trial {
  n: number;
  state: string;
  /** When it started, in seconds since the epoch. */
  time?: number;
  value?: number | null;
  std?: number | null;
  splits?: number[];
  folds?: (number | null)[];
  params: Params;
  source: string;
  reason?: string;
  expected?: string;
  came_true?: boolean | null;
  seconds?: number;
  error?: string | null;
  /** Where a pruned trial was stopped, and with what. */
  pruned?: string;
  space?: number;
  request?: number | null;
  more?: boolean;
}

export interface Candidate {
  params: Params;
  reason?: string;
  expected?: string;
  status?: string;
  why?: string;
}

export interface Usage {
  input_tokens?: number;
  output_tokens?: number;
  money?: number | null;
}

export interface ChatItem {
  id: string;
  kind: 'prompt' | 'reply' | 'note' | 'fallback' | 'wish' | 'space';
  trial: number | null;
  time: number;
  text?: string;
  request?: number;
  purpose?: string;
  provider?: string;
  reasoning?: string;
  candidates?: Candidate[];
  usage?: Usage;
  seconds?: number;
  wish?: string;
  value?: unknown;
  state?: string;
  category?: string;
  permanent?: boolean;
  level?: string;
  more?: boolean;
}

export interface Cost {
  requests: number;
  input_tokens: number;
  output_tokens: number;
  money: number | null;
  llm_seconds: number;
  fit_seconds: number;
}

export interface Bundle {
  schema: number;
  seq?: number;
  run: Run;
  space: { outer: ParamSpec[]; versions: Version[] };
  trials: Trial[];
  chat: ChatItem[];
  importances: Record<string, number>;
  cost: Cost;
  omitted?: { trials: number; chat: number; versions: number };
}

export interface Delta {
  seq: number;
  /** The state that this delta builds on; `seq - 1` unless said. */
  since?: number;
  seconds?: number;
  run?: Partial<Run>;
  cost?: Partial<Cost>;
  importances?: Record<string, number>;
  trial?: Partial<Trial> & { n: number };
  chat?: ChatItem;
  space?: Version;
  outer?: ParamSpec[];
  stale?: boolean;
}

export type ItemKind = 'chat' | 'trial' | 'space';

/** What a kernel says to a view. */
export type Incoming =
  | { delta: Delta }
  | { snapshot: Bundle }
  | { item: ChatItem | Trial | Version; kind: ItemKind }
  | { ack: string; ok: boolean; error?: string }
  | { connected: boolean };

/** What a view says to a kernel: a wish, or that it needs something whole. */
export type Outgoing =
  | { wish: string; value: unknown; id: string }
  | { get: 'snapshot' }
  | { get: 'item'; kind: ItemKind; id: string | number };

/** What a view is mounted on: a bundle, and for a living run the way to its kernel. */
export interface Model {
  snapshot: unknown;
  subscribe?: (listener: (message: Incoming) => void) => () => void;
  send?: (message: Outgoing) => void;
}
