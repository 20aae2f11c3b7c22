/** Trials: a table that sorts and filters; only the rows in sight are drawn. */

import { useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Bundle, Trial } from '../bundle';
import { useBundle, useEnv, useFocus } from '../context';
import { outcomeOf, parameters, scored, searched, trialByNumber } from '../derive';
import { duration, num, shortName, sourceName, val } from '../format';
import { CopyParams, TrialActions } from '../inspector';
import { hueOf, point, shapeOf } from '../marks';
import { Empty, outcome } from '../plot';
import { useRanking } from '../ranking';
import { plain } from '../safe';

const ROW = 30;
const HEIGHT = 388;
/** Characters of a parameter's name at the head of its column. */
const MOST_NAME = 20;

interface Column {
  key: string;
  label: string;
  of: (trial: Trial) => string | number | null;
  text: (trial: Trial) => string;
  right?: boolean;
}

/** @param names the parameters in the order of their columns: those that matter most are seen without scrolling. */
function columnsOf(bundle: Bundle, names: string[]): Column[] {
  const rank = new Map(names.map((name, i) => [name, i]));
  const last = names.length;
  const specs = [...parameters(bundle)].sort(
    (p, q) => (rank.get(p.name) ?? last) - (rank.get(q.name) ?? last)
  );
  return [
    { key: 'n', label: 'Trial', of: t => t.n, text: t => `${t.star ? '★ ' : ''}${t.n}`, right: true },
    {
      key: 'value',
      label: 'Score',
      of: t => (scored(t) ? t.value : null),
      text: t =>
        scored(t)
          ? num(t.value)
          : t.values || t.state === 'INFEASIBLE'
            ? outcome(t)
            : outcomeOf(t) === 'CUT_OFF'
              ? 'cut off'
              : t.state === 'FAIL'
                ? plain(t.error ?? 'failed')
                : t.state.toLowerCase(),
      right: true
    },
    { key: 'std', label: '±', of: t => t.std ?? null, text: t => (t.std ? num(t.std, 2) : ''), right: true },
    { key: 'source', label: 'Source', of: t => t.source, text: t => sourceName(t.source) },
    {
      key: 'seconds',
      label: 'Time',
      of: t => t.seconds ?? null,
      text: t => (t.seconds ? duration(t.seconds) : ''),
      right: true
    },
    ...(bundle.trials.some(t => t.note)
      ? [{ key: 'note', label: 'Note', of: (t: Trial) => t.note || null, text: (t: Trial) => plain(t.note) }]
      : []),
    ...specs.map(
      (p): Column => ({
        key: `p:${p.name}`,
        label: plain(p.name),
        of: t => {
          const v = t.params[p.name];
          return typeof v === 'number' || typeof v === 'string'
            ? v
            : v === undefined || v === null
              ? null
              : String(v);
        },
        text: t => (t.params[p.name] === undefined ? '' : plain(val(t.params[p.name]))),
        right: p.type !== 'categorical'
      })
    )
  ];
}

function compare(a: string | number | null, b: string | number | null): number {
  if (a === null || b === null) {
    return a === b ? 0 : a === null ? 1 : -1;
  }
  return typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b));
}

export function Trials() {
  const { ui, printing } = useEnv();
  const bundle = useBundle();
  const { hover, pinned, brushed } = useFocus();
  const [sort, setSort] = useState<{ key: string; down: boolean }>({ key: 'n', down: true });
  const [query, setQuery] = useState('');
  const [top, setTop] = useState(0);
  const scroller = useRef<HTMLDivElement>(null);
  const { order } = useRanking(bundle, searched(bundle));
  const columns = useMemo(() => columnsOf(bundle, order), [bundle, order]);
  const rows = useMemo(() => {
    const column = columns.find(c => c.key === sort.key) ?? columns[0]!;
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const matching = bundle.trials.filter(
      t =>
        (!brushed || brushed.has(t.n)) &&
        (words.length === 0 ||
          words.every(w => columns.some(c => `${c.label} ${c.text(t)}`.toLowerCase().includes(w))))
    );
    const by = sort.down ? -1 : 1;
    return matching.sort((a, b) => {
      const [x, y] = [column.of(a), column.of(b)];
      return x === null || y === null ? compare(x, y) : by * compare(x, y);
    });
  }, [bundle.trials, columns, sort, query, brushed]);

  // new trials come in above: the rows that are being read, or pointed at, stay where they are
  const reading = useRef<{ n: number; at: number; trials: Trial[] } | null>(null);
  const inside = useRef(false);
  const { trials } = bundle;
  const nCutOff = trials.filter(t => outcomeOf(t) === 'CUT_OFF').length;
  const best = trialByNumber(trials, bundle.run.best_number);
  const anchor = rows[Math.ceil(top / ROW)];
  useLayoutEffect(() => {
    const el = scroller.current;
    const was = reading.current;
    const at = was && was.trials !== trials ? rows.findIndex(t => t.n === was.n) : -1;
    if (el && was && at > was.at && (el.scrollTop > 0 || inside.current)) {
      el.scrollTop += (at - was.at) * ROW;
      reading.current = { n: was.n, at, trials };
    } else {
      reading.current = anchor ? { n: anchor.n, at: rows.indexOf(anchor), trials } : null;
    }
  }, [trials, rows, anchor]);

  const first = printing ? 0 : Math.max(0, Math.floor(top / ROW) - 6);
  const lastRow = printing ? rows.length : Math.min(rows.length, first + Math.ceil(HEIGHT / ROW) + 12);
  const rowsInView = rows.slice(first, lastRow);
  const gap = (n: number) => (n > 0 ? <tr aria-hidden="true" style={{ height: `${n * ROW}px` }} /> : null);

  const onKey = (event: KeyboardEvent) => {
    const by = { ArrowDown: 1, ArrowUp: -1, PageDown: 10, PageUp: -10 }[event.key];
    if (by === undefined && event.key !== 'Enter') {
      return;
    }
    if (event.target !== event.currentTarget) {
      return;
    }
    event.preventDefault();
    const at = rows.findIndex(t => t.n === (ui.focus.hover ?? ui.focus.pinned));
    if (by === undefined) {
      if (rows[at]) {
        ui.pin(rows[at].n);
      }
      return;
    }
    const to = Math.min(rows.length - 1, Math.max(0, at + by));
    ui.hover(rows[to]?.n ?? null);
    const el = scroller.current;
    if (el && (to * ROW < el.scrollTop || (to + 2) * ROW > el.scrollTop + el.clientHeight)) {
      el.scrollTop = Math.max(0, to * ROW - el.clientHeight / 2);
    }
  };

  return (
    <div class="trials">
      <div class="chat-bar">
        <input
          type="search"
          placeholder="Filter: source, state, a value"
          aria-label="Filter the trials"
          value={query}
          onInput={event => setQuery(event.currentTarget.value)}
        />
        <span class="muted" role="status">
          {rows.length} of {trials.length} trials
          {nCutOff > 0 && `, ${nCutOff} cut off`}
          {(bundle.omitted?.trials ?? 0) > 0 && `, ${bundle.omitted!.trials} more are in the study`}
        </span>
        {best && <CopyParams trial={best} label="Copy the best" />}
        {brushed && (
          <button type="button" class="link" onClick={() => ui.set({ brushed: null })}>
            Clear the brush
          </button>
        )}
      </div>
      <div
        class="table-scroll"
        style={printing ? {} : { height: `${HEIGHT}px` }}
        ref={scroller}
        onScroll={event => setTop(event.currentTarget.scrollTop)}
        onMouseEnter={() => (inside.current = true)}
        onMouseLeave={() => (inside.current = false)}
        onFocusIn={() => (inside.current = true)}
        onFocusOut={() => (inside.current = false)}
        tabIndex={0}
        role="group"
        aria-label="Trials. Arrow keys move through the rows, Enter pins one."
        onKeyDown={onKey}
      >
        {rows.length === 0 ? (
          <Empty>{bundle.trials.length ? 'No trial fits.' : 'No trial yet.'}</Empty>
        ) : (
          <table aria-rowcount={rows.length + 1}>
            <thead>
              <tr>
                {columns.map(c => (
                  <th
                    key={c.key}
                    scope="col"
                    class={c.right ? 'right' : ''}
                    aria-sort={sort.key === c.key ? (sort.down ? 'descending' : 'ascending') : 'none'}
                  >
                    <button
                      type="button"
                      onClick={() => setSort(s => ({ key: c.key, down: s.key === c.key ? !s.down : true }))}
                    >
                      <span title={c.label}>{shortName(c.label, MOST_NAME)}</span>
                      <span aria-hidden="true">{sort.key === c.key ? (sort.down ? ' ↓' : ' ↑') : ''}</span>
                    </button>
                  </th>
                ))}
                <th scope="col" class="acts">
                  <span class="hidden">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {gap(first)}
              {rowsInView.map((t, i) => (
                <tr
                  key={t.n}
                  aria-rowindex={first + i + 2}
                  class={[
                    t.n === hover ? 'is-hover' : '',
                    t.n === pinned ? 'is-pinned' : '',
                    t.n === bundle.run.best_number ? 'is-best' : '',
                    scored(t) ? '' : 'is-unscored'
                  ].join(' ')}
                  onMouseEnter={() => ui.hover(t.n)}
                  onMouseLeave={() => ui.hover(null)}
                  onClick={() => ui.pin(t.n)}
                >
                  {columns.map(c => (
                    <td key={c.key} class={c.right ? 'right' : ''}>
                      {c.key === 'source' && (
                        <svg width="14" height="12" aria-hidden="true">
                          <path class={`src-${hueOf(t.source)}`} d={point(shapeOf(t.source), 6, 6, 3.6)} />
                        </svg>
                      )}
                      {c.text(t)}
                    </td>
                  ))}
                  <td class="acts" onClick={event => event.stopPropagation()}>
                    <TrialActions trial={t} short />
                  </td>
                </tr>
              ))}
              {gap(rows.length - lastRow)}
            </tbody>
          </table>
        )}
      </div>
    </div>
  );
}
