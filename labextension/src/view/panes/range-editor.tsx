/** Change a parameter's range: drag its ends, move them with arrow keys, type them, choose choices, lock it. */

import { useRef, useState } from 'preact/hooks';
import type { ParamSpec, Value } from '../bundle';
import { useBundle, useEnv } from '../context';
import { val } from '../format';
import type { Ends } from '../ranges';
import { endsOf, nudged, parseChoice, parseEnds, same, withEnd } from '../ranges';
import { plain } from '../safe';
import type { ParamScale } from '../scales';
import type { Command } from '../store';

type Range = Ends | { choices: Value[] };

interface RangeCommands {
  /** The range that was sent and is not applied yet. */
  pending: Range | undefined;
  /** The range on its way or in force at this moment: of two keys in a row the second comes before a new rendering. */
  newest: () => Range | ParamSpec;
  /** Changes whenever the range in force may have changed: an edit that was begun before then is over. */
  base: string;
  /** Send a range, unless it is in force or on its way already. */
  send: (range: Range) => void;
}

/** The commands that change one parameter's range. */
function useRange(spec: ParamSpec): RangeCommands {
  const { store } = useEnv();
  useBundle();
  const commands = () =>
    store
      .recentCommands()
      .filter(c => c.name === 'range' && (c.value as { param?: string } | null)?.param === spec.name);
  const pending = () =>
    commands()
      .filter(c => !isSettled(c))
      .pop()?.value as Range | undefined;
  const newest = () => pending() ?? spec;
  const settled = commands().filter(isSettled).pop();
  return {
    pending: pending(),
    newest,
    base: JSON.stringify([spec.low, spec.high, spec.choices, settled?.id, settled?.state]),
    send: range => {
      if (!sameRange(range, newest())) {
        const { name: param, low, high, choices } = spec;
        const value = choices ? { param, choices } : { param, low, high };
        store.command('range', { param, ...range }, { name: 'range', value });
      }
    }
  };
}

function isSettled(command: Command): boolean {
  return command.state === 'applied' || command.state === 'refused';
}

function sameRange(range: Range, other: Range | ParamSpec): boolean {
  return 'choices' in range
    ? JSON.stringify(range.choices) === JSON.stringify((other as ParamSpec).choices)
    : same(range, endsOf(other as ParamSpec));
}

/** What a reader changed and has not sent, valid as long as `base` stays the same. */
function useEdit<T>(base: string): [T | null, (edit: T | null) => void] {
  const [edit, setEdit] = useState<{ base: string; value: T } | null>(null);
  return [edit?.base === base ? edit.value : null, value => setEdit(value === null ? null : { base, value })];
}

/** The handles at the end of the band. Only the drop, Enter, or leaving the handle sends a command. */
export function DragHandles({ spec, scale, x }: { spec: ParamSpec; scale: ParamScale; x: number }) {
  const { base, send } = useRange(spec);
  const [edited, setEdited] = useEdit<Ends>(base);
  const drag = useRef<{ end: keyof Ends; ends: Ends } | null>(null);
  const ends = edited ?? endsOf(spec);

  return (
    <g class="handles">
      {(['low', 'high'] as const).map(end => {
        const at = scale.at(ends[end]);
        return at === null ? null : (
          <g
            key={end}
            class="handle"
            role="slider"
            tabindex={0}
            aria-label={`${end === 'low' ? 'Lower' : 'Upper'} end of ${plain(spec.name)}`}
            aria-valuenow={ends[end]}
            aria-valuetext={val(ends[end])}
            aria-orientation="vertical"
            onPointerDown={event => {
              event.stopPropagation();
              event.currentTarget.setPointerCapture(event.pointerId);
              drag.current = { end, ends };
            }}
            onPointerMove={event => {
              const svg = event.currentTarget.ownerSVGElement;
              if (drag.current?.end === end && svg) {
                const to = Number(scale.value(event.clientY - svg.getBoundingClientRect().top));
                drag.current.ends = withEnd(ends, end, to);
                setEdited(drag.current.ends);
              }
            }}
            onPointerUp={() => {
              if (drag.current) {
                send(drag.current.ends);
                drag.current = null;
              }
            }}
            onClick={event => event.stopPropagation()}
            onKeyDown={event => {
              const by = { ArrowUp: 4, ArrowDown: -4, PageUp: 16, PageDown: -16 }[event.key];
              if (by !== undefined) {
                event.preventDefault();
                event.stopPropagation();
                setEdited(nudged(ends, end, by, scale, spec.type));
              } else if (event.key === 'Enter') {
                event.stopPropagation();
                send(ends);
              } else if (event.key === 'Escape') {
                event.stopPropagation();
                setEdited(null);
              }
            }}
            onBlur={() => edited && send(edited)}
          >
            <rect x={x - 14} y={at - 10} width={26} height={20} class="reach" />
            <rect x={x - 7} y={at - 2.5} width={14} height={5} rx={2.5} />
          </g>
        );
      })}
      {edited && (
        <text class="dragged" x={x - 10} y={(scale.at(ends.high) ?? 0) - 6} text-anchor="end">
          {val(ends.low)} to {val(ends.high)}
        </text>
      )}
    </g>
  );
}

export function RangeEditor({ spec, outer }: { spec: ParamSpec; outer: ParamSpec }) {
  const range = useRange(spec);
  const [problem, setProblem] = useState('');
  return (
    <div class="range-editor">
      {spec.type === 'categorical' ? (
        <Choices spec={spec} outer={outer} range={range} />
      ) : (
        <TypedEnds spec={spec} range={range} setProblem={setProblem} />
      )}
      <span class={problem ? 'problem' : 'muted'} role="status">
        {problem || (range.pending ? 'pending' : '')}
      </span>
    </div>
  );
}

export function Lock({ spec, locked }: { spec: ParamSpec; locked: boolean }) {
  const { store } = useEnv();
  useBundle();
  const isPending = ['lock', 'unlock'].some(name => store.pending(name).some(c => c.value === spec.name));
  return (
    <span class="lock">
      <span class="muted" role="status">
        {isPending ? 'pending' : ''}
      </span>
      <button
        type="button"
        class="link"
        aria-label={`${locked ? 'Unlock' : 'Lock'} ${plain(spec.name)}`}
        title={
          locked
            ? 'The LLM or the rulebook may change its range again.'
            : 'Only you change its range from now on; values inside it are still tried.'
        }
        onClick={() => {
          const [name, undo] = locked ? ['unlock', 'lock'] : ['lock', 'unlock'];
          store.command(name!, spec.name, { name: undo!, value: spec.name });
        }}
      >
        {locked ? 'Unlock' : 'Lock'}
      </button>
    </span>
  );
}

function TypedEnds(props: { spec: ParamSpec; range: RangeCommands; setProblem: (problem: string) => void }) {
  const { spec, range, setProblem } = props;
  const [edited, setEdited] = useEdit<[string, string]>(range.base);
  const [low, high] = edited ?? [String(spec.low), String(spec.high)];
  const ends = parseEnds(low, high, spec);
  const valid = typeof ends !== 'string';
  const changed = valid && !same(ends, endsOf(spec));
  const edit = (next: [string, string]) => {
    const parsed = parseEnds(...next, spec);
    setEdited(next);
    setProblem(typeof parsed === 'string' ? parsed : '');
  };
  const send = () => {
    if (valid) {
      range.send(ends);
    }
  };
  const field = (end: string, value: string, set: (text: string) => void) => (
    <input
      type="text"
      inputMode="decimal"
      aria-label={`${end} end of ${plain(spec.name)}, typed`}
      aria-invalid={!valid}
      value={value}
      onInput={event => set(event.currentTarget.value)}
      onKeyDown={event => event.key === 'Enter' && send()}
    />
  );
  return (
    <>
      {field('Lower', low, text => edit([text, high]))}
      <span class="muted">to</span>
      {field('Upper', high, text => edit([low, text]))}
      <button type="button" class="link" disabled={!valid || !changed} onClick={send}>
        Set
      </button>
    </>
  );
}

function Choices(props: { spec: ParamSpec; outer: ParamSpec; range: RangeCommands }) {
  const { spec, outer, range } = props;
  const [typed, setTyped] = useState('');
  const selection = () => (range.newest() as { choices?: Value[] }).choices ?? [];
  const choices = [...new Set([...(outer.choices ?? []), ...(spec.choices ?? []), ...selection()])];
  const selected = new Set<Value>(selection());
  const toggle = (choice: Value) => {
    const now = new Set(selection());
    const next = choices.filter(c => (c === choice ? !now.has(c) : now.has(c)));
    if (next.length) {
      range.send({ choices: next });
    }
  };
  const add = () => {
    if (typed.trim()) {
      const choice = parseChoice(typed, choices);
      const now = new Set(selection());
      range.send({ choices: [...choices.filter(c => now.has(c) && c !== choice), choice] });
      setTyped('');
    }
  };
  return (
    <span class="choices" role="group" aria-label={`Choices of ${plain(spec.name)}`}>
      {choices.map(c => (
        <label key={JSON.stringify(c)}>
          <input
            type="checkbox"
            checked={selected.has(c)}
            disabled={selected.has(c) && selected.size === 1}
            onChange={() => toggle(c)}
          />
          {plain(val(c))}
        </label>
      ))}
      <input
        type="text"
        placeholder="another choice"
        aria-label={`Another choice of ${plain(spec.name)}, typed`}
        value={typed}
        onInput={event => setTyped(event.currentTarget.value)}
        onKeyDown={event => event.key === 'Enter' && add()}
      />
      <button type="button" class="link" disabled={!typed.trim()} onClick={add}>
        Add
      </button>
    </span>
  );
}
