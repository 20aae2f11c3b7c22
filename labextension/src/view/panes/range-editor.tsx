/** Change a parameter's range: drag its ends, move them with arrow keys, type them, choose choices, lock it. */

import { useEffect, useRef, useState } from 'preact/hooks';
import type { ParamSpec, Value } from '../bundle';
import { useBundle, useEnv } from '../context';
import { val } from '../format';
import { endsOf, moved, nudged, same, typed } from '../ranges';
import type { Ends } from '../ranges';
import { plain } from '../safe';
import type { ParamScale } from '../scales';

/** The handles at the end of the band. Only the drop, or leaving the handle, sends a wish. */
export function DragHandles({ spec, scale, x }: { spec: ParamSpec; scale: ParamScale; x: number }) {
  const { store } = useEnv();
  const given = endsOf(spec);
  const [ends, setEnds] = useState<Ends | null>(null);
  const drag = useRef<{ end: keyof Ends; ends: Ends } | null>(null);
  useEffect(() => setEnds(null), [spec.low, spec.high]);
  const now = ends ?? given;

  const send = (next: Ends) => {
    if (!same(next, given)) {
      store.wish('range', { param: spec.name, ...next });
    }
  };

  return (
    <g class="handles">
      {(['low', 'high'] as const).map(end => {
        const at = scale.at(now[end]);
        return at === null ? null : (
          <g
            key={end}
            class="handle"
            role="slider"
            tabindex={0}
            aria-label={`${end === 'low' ? 'Lower' : 'Upper'} end of ${plain(spec.name)}`}
            aria-valuenow={now[end]}
            aria-valuetext={val(now[end])}
            aria-orientation="vertical"
            onPointerDown={event => {
              event.stopPropagation();
              event.currentTarget.setPointerCapture(event.pointerId);
              drag.current = { end, ends: now };
            }}
            onPointerMove={event => {
              const svg = event.currentTarget.ownerSVGElement;
              if (drag.current?.end === end && svg) {
                const to = Number(scale.value(event.clientY - svg.getBoundingClientRect().top));
                drag.current.ends = moved(now, end, to);
                setEnds(drag.current.ends);
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
                setEnds(nudged(now, end, by, scale, spec.type));
              } else if (event.key === 'Enter') {
                event.stopPropagation();
                send(now);
              } else if (event.key === 'Escape') {
                event.stopPropagation();
                setEnds(null);
              }
            }}
            onBlur={() => ends && send(ends)}
          >
            <rect x={x - 14} y={at - 10} width={26} height={20} class="reach" />
            <rect x={x - 7} y={at - 2.5} width={14} height={5} rx={2.5} />
          </g>
        );
      })}
      {ends && (
        <text class="dragged" x={x - 10} y={(scale.at(now.high) ?? 0) - 6} text-anchor="end">
          {val(now.low)} to {val(now.high)}
        </text>
      )}
    </g>
  );
}

/** The wish for a parameter's range that waits for its trial. */
function usePending(name: string): { choices?: Value[] } | undefined {
  const { store } = useEnv();
  useBundle();
  const waiting = store.pending('range').filter(w => (w.value as { param?: string }).param === name);
  return waiting.pop()?.value as { choices?: Value[] } | undefined;
}

export function RangeEditor({ spec, outer, locked }: { spec: ParamSpec; outer: ParamSpec; locked: boolean }) {
  const asked = usePending(spec.name);
  return (
    <div class="range-editor">
      {spec.type === 'categorical' ? (
        <Choices spec={spec} outer={outer} locked={locked} asked={asked?.choices} />
      ) : (
        <Typed spec={spec} locked={locked} />
      )}
      <span class="muted" role="status">
        {asked ? 'pending' : ''}
      </span>
    </div>
  );
}

export function Lock({ spec, locked }: { spec: ParamSpec; locked: boolean }) {
  const { store } = useEnv();
  useBundle();
  const waits = ['lock', 'unlock'].some(name => store.pending(name).some(w => w.value === spec.name));
  return (
    <span class="lock">
      <span class="muted" role="status">
        {waits ? 'pending' : ''}
      </span>
      <button
        type="button"
        class="link"
        aria-label={`${locked ? 'Unlock' : 'Lock'} ${plain(spec.name)}`}
        onClick={() => store.wish(locked ? 'unlock' : 'lock', spec.name)}
      >
        {locked ? 'Unlock' : 'Lock'}
      </button>
    </span>
  );
}

function Typed({ spec, locked }: { spec: ParamSpec; locked: boolean }) {
  const { store } = useEnv();
  const [low, setLow] = useState(String(spec.low));
  const [high, setHigh] = useState(String(spec.high));
  useEffect(() => {
    setLow(String(spec.low));
    setHigh(String(spec.high));
  }, [spec.low, spec.high]);
  const ends = typed(low, high, spec);
  const good = ends !== null;
  const changed = good && !same(ends, endsOf(spec));
  const send = () => {
    if (changed) {
      store.wish('range', { param: spec.name, ...ends });
    }
  };
  const field = (end: string, value: string, set: (text: string) => void) => (
    <input
      type="text"
      inputMode="decimal"
      aria-label={`${end} end of ${plain(spec.name)}, typed`}
      aria-invalid={!good}
      disabled={locked}
      value={value}
      onInput={event => set(event.currentTarget.value)}
      onKeyDown={event => event.key === 'Enter' && send()}
    />
  );
  return (
    <>
      {field('Lower', low, setLow)}
      <span class="muted">to</span>
      {field('Upper', high, setHigh)}
      <button type="button" class="link" disabled={locked || !good || !changed} onClick={send}>
        Set
      </button>
    </>
  );
}

function Choices(props: {
  spec: ParamSpec;
  outer: ParamSpec;
  locked: boolean;
  /** What was asked for and is not applied yet. */
  asked: Value[] | undefined;
}) {
  const { spec, outer, locked, asked } = props;
  const { store } = useEnv();
  const all = outer.choices ?? spec.choices ?? [];
  const on = new Set<Value>(asked ?? spec.choices ?? []);
  const toggle = (choice: Value) => {
    const next = all.filter(c => (c === choice ? !on.has(c) : on.has(c)));
    if (next.length) {
      store.wish('range', { param: spec.name, choices: next });
    }
  };
  return (
    <span class="choices" role="group" aria-label={`Choices of ${plain(spec.name)}`}>
      {all.map(c => (
        <label key={String(c)}>
          <input
            type="checkbox"
            checked={on.has(c)}
            disabled={locked || (on.has(c) && on.size === 1)}
            onChange={() => toggle(c)}
          />
          {plain(val(c))}
        </label>
      ))}
    </span>
  );
}
