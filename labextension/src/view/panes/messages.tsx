/** The kinds of messages of the chat. */

import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Candidate, ChatItem, Trial, Version } from '../bundle';
import { commandText } from '../commands';
import { useBundle, useEnv, useFocus, useJump } from '../context';
import { changes, trialOf } from '../derive';
import type { Entry } from '../entries';
import { count, duration, entry, money, rangeText, sentence, sourceName, unmarked } from '../format';
import { Chips } from '../inspector';
import { outcome, TrialLink } from '../plot';
import { markdown, plain } from '../safe';

/** Everything of a message that a search looks at, in lower case. */
export function textOf(entry: Entry): string {
  if ('version' in entry) {
    const { reason, by, params } = entry.version;
    return `${reason} ${by} ${params.map(p => p.name).join(' ')}`.toLowerCase();
  }
  if ('proposal' in entry) {
    const { n, source, reason } = entry.proposal;
    return `trial ${n} ${sourceName(source)} ${reason}`.toLowerCase();
  }
  const { text, reasoning, purpose, provider, wish, value, category, candidates } = entry.item;
  const data = [value ?? '', candidates ?? ''].map(d => JSON.stringify(d));
  return [text, reasoning, purpose, provider, wish, category, ...data].join(' ').toLowerCase();
}

/** A sanitised fragment; nothing of it passes through HTML text again. */
function Markdown({ text }: { text: string }) {
  const ref = useRef<HTMLDivElement>(null);
  // at once, before the browser lays out: what is drawn for paper is printed in the same breath
  useLayoutEffect(() => {
    ref.current?.replaceChildren(markdown(text));
  }, [text]);
  return <div class="markdown" ref={ref} />;
}

/** Something long that is opened on demand; asked for in whole only then. */
function Folded(props: {
  summary: ComponentChildren;
  open?: boolean;
  onOpen?: () => void;
  children: () => ComponentChildren;
}) {
  const { printing } = useEnv();
  const [open, setOpen] = useState(Boolean(props.open));
  return (
    <details
      open={open || (printing && props.open !== undefined)}
      onToggle={event => {
        setOpen(event.currentTarget.open);
        if (event.currentTarget.open) {
          props.onOpen?.();
        }
      }}
    >
      <summary>{props.summary}</summary>
      {open || printing ? props.children() : null}
    </details>
  );
}

function At({ trial }: { trial: number | null }) {
  return trial === null ? null : <span class="at">trial {trial}</span>;
}

/** Lines from which a part of a prompt is folded. */
const LONG_PART = 5;
const PURPOSES: Record<string, string> = {
  initialize: 'Asked for ranges and first configurations',
  propose: 'Asked for configurations',
  repair: 'Asked to repair its answer',
  summarize: 'Asked for a summary',
  check: 'Asked to check'
};

export function Message({ item }: { item: ChatItem }) {
  switch (item.kind) {
    case 'prompt':
      return <Prompt item={item} />;
    case 'reply':
      return <Reply item={item} />;
    case 'wish':
      return <CommandMessage item={item} />;
    case 'fallback':
      return (
        <article class="message note is-warning">
          <p>
            {plain(item.text)} <At trial={item.trial} />
            {item.permanent && <span class="muted"> No LLM from here on.</span>}
          </p>
        </article>
      );
    default:
      return (
        <article class={`message note is-${item.level === 'warning' ? 'warning' : 'info'}`}>
          <p>
            {plain(item.text)} <At trial={item.trial} />
          </p>
        </article>
      );
  }
}

function Prompt({ item }: { item: ChatItem }) {
  const { store } = useEnv();
  return (
    <article class="message prompt">
      <Folded
        summary={
          <>
            {entry(PURPOSES, item.purpose ?? '') ?? 'Asked'} <At trial={item.trial} />
          </>
        }
        onOpen={() => item.more && store.request('chat', item.id)}
      >
        {() => <Parts text={plain(item.text) + (item.more ? ' …' : '')} />}
      </Folded>
    </article>
  );
}

/** A prompt by its parts: a long one is folded behind its first line, short ones stand together. */
function Parts({ text }: { text: string }) {
  const parts: { key: number; lines: string[]; folded: boolean }[] = [];
  text.split('\n\n').forEach((part, key) => {
    const lines = part.split('\n');
    const folded = lines.length >= LONG_PART;
    const last = parts[parts.length - 1];
    if (last && !last.folded && !folded) {
      last.lines.push('', ...lines);
    } else {
      parts.push({ key, lines, folded });
    }
  });
  return (
    <>
      {parts.map(({ key, lines, folded }) =>
        folded ? (
          <Folded
            key={key}
            summary={
              <>
                {lines[0]} <span class="at">{lines.length - 1} more lines</span>
              </>
            }
          >
            {() => <pre tabIndex={0}>{lines.slice(1).join('\n')}</pre>}
          </Folded>
        ) : (
          <pre key={key} tabIndex={0}>
            {lines.join('\n')}
          </pre>
        )
      )}
    </>
  );
}

function Reply({ item }: { item: ChatItem }) {
  const { store } = useEnv();
  useEffect(() => {
    if (item.more) {
      store.request('chat', item.id);
    }
  }, [item.more, item.id, store]);
  const { candidates = [], usage = {} } = item;
  const [alone, groups] = byReason(candidates);
  const reasoning = withoutRejections(item.reasoning ?? '', candidates);
  const tokens = (usage.input_tokens ?? 0) + (usage.output_tokens ?? 0);
  const facts = [
    tokens ? `${count(tokens)} tokens` : '',
    usage.money ? money(usage.money) : '',
    item.seconds ? duration(item.seconds) : ''
  ].filter(Boolean);
  return (
    <article class="message reply">
      <header>
        <strong>{plain(item.provider)}</strong> <At trial={item.trial} />
        <span class="muted facts">{facts.join(' · ')}</span>
      </header>
      {reasoning && <Markdown text={reasoning} />}
      {candidates.length > 0 && (
        <ol class="candidates">
          {alone.map((c, i) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: the candidates of a reply never change places
            <CandidateCard key={i} candidate={c} request={item.request ?? -1} />
          ))}
          {groups.map(([why, group]) => (
            <Rejected key={why} why={why} candidates={group} request={item.request ?? -1} />
          ))}
        </ol>
      )}
      {!reasoning && candidates.length === 0 && item.text && <Markdown text={item.text} />}
      {item.text && (reasoning || candidates.length > 0) && (
        <Folded summary="Answer as it came">{() => <pre tabIndex={0}>{plain(item.text)}</pre>}</Folded>
      )}
    </article>
  );
}

/** Candidates with a card of their own, and those that were rejected for one reason, by that reason. */
function byReason(candidates: Candidate[]): [Candidate[], [string, Candidate[]][]] {
  const groups = new Map<string, Candidate[]>();
  for (const c of candidates) {
    if (c.status === 'rejected' && c.why) {
      groups.set(c.why, [...(groups.get(c.why) ?? []), c]);
    }
  }
  const shared = [...groups].filter(([, group]) => group.length > 1);
  const inGroup = new Set(shared.flatMap(([, group]) => group));
  return [candidates.filter(c => !inGroup.has(c)), shared];
}

/** The reasoning without the list of rejected configurations at its end: the cards say it. */
function withoutRejections(reasoning: string, candidates: Candidate[]): string {
  const at = reasoning.search(/(^|\n\n)Not usable: (configuration \d+|\d+ configurations): /);
  return at >= 0 && candidates.some(c => c.status === 'rejected') ? reasoning.slice(0, at) : reasoning;
}

/** Several configurations that were rejected for the same reason: it is said once. */
function Rejected(props: { why: string; candidates: Candidate[]; request: number }) {
  const { why, candidates, request } = props;
  return (
    <li class="candidate is-rejected">
      <p class="why">
        {candidates.length} configurations: {plain(why)}
      </p>
      <Folded summary={`The ${candidates.length} rejected configurations`}>
        {() => (
          <ol class="candidates">
            {candidates.map((c, i) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: the candidates of a reply never change places
              <CandidateCard key={i} candidate={{ ...c, why: '' }} request={request} />
            ))}
          </ol>
        )}
      </Folded>
    </li>
  );
}

function CandidateCard({ candidate, request }: { candidate: Candidate; request: number }) {
  const { store, ui } = useEnv();
  const { trials } = useBundle();
  const { hover, pinned } = useFocus();
  const trial = useMemo(() => trialOf(candidate, request, trials), [candidate, request, trials]);
  const rejected = candidate.status === 'rejected';
  const focused = trial !== undefined && (trial.n === hover || trial.n === pinned);
  return (
    <li
      class={`candidate${rejected ? ' is-rejected' : ''}${focused ? ' is-focused' : ''}`}
      onMouseEnter={() => trial && ui.hover(trial.n)}
      onMouseLeave={() => ui.hover(null)}
    >
      <div class="candidate-head">
        {trial ? (
          <TrialLink n={trial.n} />
        ) : (
          <span class="muted">{rejected ? 'Rejected' : store.live ? 'Not run so far' : 'Not run'}</span>
        )}
        {trial && <span class="score">{outcome(trial)}</span>}
        {trial?.came_true !== undefined && trial.came_true !== null && (
          <span class="muted">{trial.came_true ? 'as expected' : 'not as expected'}</span>
        )}
      </div>
      <Chips params={candidate.params ?? {}} />
      {candidate.reason && <Markdown text={candidate.reason} />}
      {candidate.expected && <p class="muted">Expected: {plain(candidate.expected)}</p>}
      {rejected && candidate.why && <p class="why">{plain(candidate.why)}</p>}
    </li>
  );
}

/** A proposal without a request, of the rulebook or of the user: which trial, what came of it, and why. */
export function Proposal({ trial }: { trial: Trial }) {
  const { ui } = useEnv();
  const { hover, pinned } = useFocus();
  const focused = trial.n === hover || trial.n === pinned;
  return (
    <article
      class={`message proposal${focused ? ' is-focused' : ''}`}
      onMouseEnter={() => ui.hover(trial.n)}
      onMouseLeave={() => ui.hover(null)}
    >
      <div class="candidate-head">
        <TrialLink n={trial.n} />
        <span class="muted">{sourceName(trial.source)}</span>
        <span class="score">{outcome(trial)}</span>
      </div>
      <p>{sentence(unmarked(plain(trial.reason)))}</p>
    </article>
  );
}

function CommandMessage({ item }: { item: ChatItem }) {
  const { store } = useEnv();
  const bundle = useBundle();
  const waits = store.over && item.wish !== 'note' ? 'not applied, the run has ended' : 'pending';
  return (
    <article class="message mine">
      <p>{item.wish === 'hint' ? plain(item.value) : commandText(item.wish ?? '', item.value, bundle)}</p>
      <p class="muted">{item.state === 'applied' ? `applied at trial ${item.trial ?? '–'}` : waits}</p>
    </article>
  );
}

export function SpaceMessage({ version, before }: { version: Version; before: Version | undefined }) {
  const { store, ui } = useEnv();
  const jump = useJump();
  useEffect(() => {
    if (version.more) {
      store.request('space', version.version);
    }
  }, [version.more, version.version, store]);
  const changed = changes(before, version);
  const by =
    version.by === 'user'
      ? 'You'
      : version.by === 'llm'
        ? 'The LLM'
        : version.by === 'prior'
          ? 'The expert prior'
          : `The ${plain(version.by)}`;
  return (
    <article
      class={`message space${jump?.version === version.version ? ' is-focused' : ''}`}
      data-version={version.version}
      tabIndex={-1}
    >
      <Folded
        summary={
          <>
            {before
              ? `${by} changed ${changed.length} range${changed.length === 1 ? '' : 's'}`
              : `${by} set the search space`}{' '}
            <At trial={version.trial} />
          </>
        }
        open={Boolean(before) && changed.length <= 4}
      >
        {() => (
          <>
            {version.reason && <p>{unmarked(plain(version.reason))}</p>}
            <table>
              <tbody>
                {changed.map(([name, a, b]) => (
                  <tr key={name}>
                    <th scope="row">{plain(name)}</th>
                    {before && <td class="muted">{rangeText(a)}</td>}
                    <td>{rangeText(b)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
            {before && (
              <button
                type="button"
                class="link"
                onClick={() => ui.set({ jump: { pane: 'space', version: version.version } })}
              >
                Show in the search space
              </button>
            )}
          </>
        )}
      </Folded>
    </article>
  );
}
