/** Importance: how much each parameter matters, and how the score depends on it. */

import { scaleLinear } from 'd3-scale';
import { useCallback, useMemo, useRef, useState } from 'preact/hooks';
import type { Bundle, ImportanceKind, ParamSpec, Trial } from '../bundle';
import { useBundle, useEnv, useWidth } from '../context';
import { scoreDomain, scored, searched, usedRange } from '../derive';
import { entry, num, shortName, val } from '../format';
import { hueOf } from '../marks';
import type { Place } from '../plot';
import { Empty, FocusMarks, Legend, Marks, nearest, Tip, usePick } from '../plot';
import { byShare, useRanking } from '../ranking';
import { plain } from '../safe';
import { paramScale } from '../scales';

const HEIGHT = 64;
const NARROW = 560;
/** Characters of a name beside its chart. */
const MOST_NAME = 28;
const LEAST_TRIALS = 8;
/** Scored trials per parameter from which shares are shown: with fewer, chance names the first ones. */
const TRIALS_PER_PARAMETER = 2;
const KINDS: Record<ImportanceKind, { label: string; text: string }> = {
  'ped-anova': {
    label: 'PED-ANOVA',
    text: 'Share of the score’s variation that each parameter is responsible for (PED-ANOVA).'
  },
  surrogate: {
    label: 'Surrogate',
    text: 'Share of the variation of a model of the score (a Gaussian process over the search space) that goes with each parameter, alone or with others (total Sobol index).'
  }
};
const classOf = (t: Trial) => `src-${hueOf(t.source)}`;

export function Importance() {
  const { store, id } = useEnv();
  const bundle = useBundle();
  const [kind, setKind] = useState<ImportanceKind>('ped-anova');
  const [ref, width] = useWidth<HTMLDivElement>();
  const specs = useMemo(() => searched(bundle), [bundle]);
  // the bars move with every trial; the rows change places when the trials have doubled, and not under a pointer
  const reading = useRef(false);
  const ranking = useRanking(bundle, specs, reading.current);
  const { measured } = ranking;
  const answer = store.importances[kind];
  const computed = answer && answer !== 'waiting' && !answer.error ? answer : null;
  const shares = computed
    ? new Map(specs.map(s => [s.name, entry(computed.shares, s.name) ?? 0]))
    : ranking.shares;
  const order = computed ? byShare(shares) : ranking.order;
  const rangeOf = (name: string) => (computed ? entry(computed.intervals, name) : undefined);
  const rows = order.flatMap(name => {
    const spec = specs.find(s => s.name === name);
    return spec ? [{ spec, share: shares.get(name) ?? 0 }] : [];
  });
  const most = Math.max(0.01, ...rows.map(r => Math.max(r.share, rangeOf(r.spec.name)?.[1] ?? 0)));
  const count = bundle.trials.filter(scored).length;
  const enough = count >= LEAST_TRIALS;
  const goesOn = ['running', 'paused', 'checking'].includes(bundle.run.status);
  const tellsApart = count >= TRIALS_PER_PARAMETER * specs.length;
  return (
    <div
      class={width < NARROW ? 'importance narrow' : 'importance'}
      ref={ref}
      onMouseEnter={() => (reading.current = true)}
      onMouseLeave={() => (reading.current = false)}
    >
      <p class="muted lead">
        {!enough
          ? ''
          : !tellsApart
            ? `${count} scored trials are too few to tell the effects of ${specs.length} parameters apart. Each chart shows the score against one of them.`
            : measured
              ? KINDS[computed || answer ? kind : 'ped-anova'].text
              : `${goesOn ? 'While the run goes on: how' : 'How'} much of the variation of the scores’ ranks each parameter explains alone.`}
        {computed && ' Lines: where 90 % of 20 resamples of the trials lie.'}
      </p>
      {enough && tellsApart && (store.canAsk || computed) && (
        <div class="importance-bar">
          <div class="group segmented" role="radiogroup" aria-label="Kind of importance">
            {(Object.keys(KINDS) as ImportanceKind[]).map(k => (
              <label key={k}>
                <input
                  type="radio"
                  name={`${id}-importance`}
                  checked={kind === k}
                  onChange={() => {
                    setKind(k);
                    if (k !== 'ped-anova') {
                      store.requestImportances(k);
                    }
                  }}
                />
                <span>{KINDS[k].label}</span>
              </label>
            ))}
          </div>
          {!answer && (
            <button type="button" class="button" onClick={() => store.requestImportances(kind)}>
              How sure is that?
            </button>
          )}
          <span class="muted" role="status">
            {answer === 'waiting' &&
              'The kernel computes 20 resamples of the trials. This takes some seconds.'}
            {answer && answer !== 'waiting' && answer.error && `Not computed: ${plain(answer.error)}`}
          </span>
        </div>
      )}
      {!enough ? (
        <Empty>From eight scored trials on, the parameters are ranked here.</Empty>
      ) : (
        width > 0 &&
        rows.map(({ spec, share }) => (
          <div class="importance-row" key={spec.name}>
            <div class="importance-name">
              <span title={plain(spec.name)}>
                {shortName(plain(spec.name), width < NARROW ? 60 : MOST_NAME)}
              </span>
              {tellsApart && (
                <>
                  <span class="share">
                    {Math.round(share * 100)} % <Between range={rangeOf(spec.name)} />
                  </span>
                  <div class="bar">
                    <div style={{ width: `${(100 * share) / most}%` }} />
                    <Whisker range={rangeOf(spec.name)} most={most} />
                  </div>
                </>
              )}
            </div>
            <Slice spec={spec} bundle={bundle} width={width < NARROW ? width : width - 234} />
          </div>
        ))
      )}
      {enough && <Legend bundle={bundle} />}
    </div>
  );
}

/** The interval of a share in words. */
function Between({ range }: { range: number[] | undefined }) {
  return range ? (
    <span class="muted">
      {Math.round(100 * range[0]!)} to {Math.round(100 * range[1]!)} %
    </span>
  ) : null;
}

/** The interval of a share, as a line over its bar. */
function Whisker({ range, most }: { range: number[] | undefined; most: number }) {
  if (!range) {
    return null;
  }
  const [low, high] = range as [number, number];
  return (
    <i class="whisker" style={{ left: `${(100 * low) / most}%`, width: `${(100 * (high - low)) / most}%` }} />
  );
}

/** Score against one parameter. */
function Slice({ spec, bundle, width }: { spec: ParamSpec; bundle: Bundle; width: number }) {
  const [low, high] = usedRange(spec, bundle);
  const x = useMemo(() => paramScale(spec, [low, high], [10, width - 14], 5), [spec, low, high, width]);
  const y = useMemo(() => scaleLinear(scoreDomain(bundle), [HEIGHT - 20, 5]).clamp(true), [bundle]);
  const trials = useMemo(() => bundle.trials.filter(scored), [bundle.trials]);
  const place: Place = useCallback(
    (t: Trial) => {
      const at = x.at(t.params[spec.name]);
      return at === null || !scored(t)
        ? null
        : [at + (x.half ? (((t.n * 7) % 11) / 10 - 0.5) * x.half : 0), y(t.value)];
    },
    [x, y, spec.name]
  );
  const pick = usePick(trials, (px, py) => nearest(trials, place, px, py, 20));
  return (
    <div class="chart" style={{ height: `${HEIGHT}px` }}>
      <svg
        width={width}
        height={HEIGHT}
        role="group"
        aria-label={`Score against ${plain(spec.name)}`}
        {...pick}
      >
        <line class="base" x1={4} x2={width - 4} y1={HEIGHT - 15} y2={HEIGHT - 15} />
        <g class="axis">
          {x.ticks.map(t => (
            <text
              key={t.label}
              x={t.at}
              y={HEIGHT - 2}
              text-anchor={t.at < 24 ? 'start' : t.at > width - 32 ? 'end' : 'middle'}
            >
              {shortName(plain(t.label), 10)}
            </text>
          ))}
        </g>
        <Marks trials={trials} place={place} classOf={classOf} r={2.6} />
        <FocusMarks trials={trials} place={place} classOf={classOf} r={2.6} />
      </svg>
      <Tip trials={trials} place={place} width={width}>
        {t => (
          <div class="muted">{`${plain(spec.name)} ${plain(val(t.params[spec.name]))}, score ${num(t.value)}`}</div>
        )}
      </Tip>
    </div>
  );
}
