/** Slice: the score against one parameter, the trials coloured by who proposed them. */

import { useCallback, useMemo, useState } from 'preact/hooks';
import type { Bundle, ParamSpec, Trial } from '../bundle';
import { useBundle, useEnv, useWidth } from '../context';
import { scored, trialByNumber, usedRange } from '../derive';
import { num, shortName, val } from '../format';
import { hueOf } from '../marks';
import { betterText } from '../metric';
import type { Place } from '../plot';
import { Empty, FocusMarks, Grid, Legend, leftOf, Marks, nearest, Tip, usePick } from '../plot';
import { byImportance } from '../ranking';
import { Rim, useScoreScale } from '../rim';
import { plain } from '../safe';
import { paramScale } from '../scales';

const HEIGHT = 340;
const PAD = { top: 28, right: 20, bottom: 42, left: 64 };
const OPTION = 36;
const classOf = (t: Trial) => `src-${hueOf(t.source)}`;

export function SlicePane() {
  const { id } = useEnv();
  const bundle = useBundle();
  const [ref, width] = useWidth<HTMLDivElement>();
  const specs = useMemo(() => byImportance(bundle), [bundle]);
  const [name, setName] = useState<string | null>(null);
  const spec = specs.find(s => s.name === name) ?? specs[0];
  return (
    <div class="slice" ref={ref}>
      {!spec || !bundle.trials.some(scored) ? (
        <Empty>The score of each trial is drawn against one parameter here.</Empty>
      ) : (
        <>
          <div class="chat-bar">
            <label>
              Parameter{' '}
              <select
                id={`${id}-slice`}
                value={spec.name}
                // the first choice holds from then on, also when another parameter comes to matter more
                onFocus={() => setName(spec.name)}
                onChange={event => setName(event.currentTarget.value)}
              >
                {specs.map(s => (
                  <option key={s.name} value={s.name}>
                    {shortName(plain(s.name), OPTION)}
                  </option>
                ))}
              </select>
            </label>
          </div>
          {width > 0 && <Chart bundle={bundle} spec={spec} width={width} />}
          <Legend bundle={bundle} />
        </>
      )}
    </div>
  );
}

function Chart({ bundle, spec, width }: { bundle: Bundle; spec: ParamSpec; width: number }) {
  const { run } = bundle;
  const trials = useMemo(
    () => bundle.trials.filter(t => scored(t) && t.params[spec.name] !== undefined),
    [bundle.trials, spec.name]
  );
  const bottom = HEIGHT - PAD.bottom;
  const scale = useScoreScale(bundle, trials, PAD.top, bottom - 6);
  const { y, yOf } = scale;
  const left = leftOf(y, PAD.left);
  const x = useMemo(
    () => paramScale(spec, usedRange(spec, bundle), [left + 8, width - PAD.right - 8], 6),
    [bundle, spec, left, width]
  );
  const place: Place = useCallback(
    (t: Trial) => {
      const at = x.at(t.params[spec.name]);
      const jitter = x.half ? (((t.n * 7) % 11) / 10 - 0.5) * x.half : 0;
      return at === null || !scored(t) ? null : [at + jitter, yOf(t.value)];
    },
    [x, yOf, spec.name]
  );
  const pick = usePick(trials, (px, py) => nearest(trials, place, px, py, 24));
  const best = trialByNumber(trials, run.best_number);
  const bestAt = best && place(best);
  const title = [plain(run.metric ?? 'score'), betterText(run)].filter(Boolean).join(', ');
  return (
    <div class="chart" style={{ height: `${HEIGHT}px` }}>
      <svg
        width={width}
        height={HEIGHT}
        role="group"
        aria-label={`Score against ${plain(spec.name)}. Arrow keys move, Enter pins.`}
        {...pick}
      >
        <Grid y={y} left={left} right={width - PAD.right} />
        <g class="axis">
          {x.ticks.map(t => (
            <text key={t.label} x={t.at} y={bottom + 16} text-anchor="middle">
              {x.lanes ? shortName(plain(t.label), 14) : t.label}
            </text>
          ))}
          <text class="axis-title" x={(left + width - PAD.right) / 2} y={HEIGHT - 6} text-anchor="middle">
            {shortName(plain(spec.name), 48)}
            {spec.log ? ', log scale' : ''}
          </text>
          <text class="axis-title" x={PAD.left - 52} y={12}>
            {title}
            {run.direction === 'minimize' ? ' ↓' : ' ↑'}
          </text>
        </g>
        <Rim scale={scale} x={t => place(t)?.[0] ?? null} />
        <Marks trials={trials} place={place} classOf={classOf} />
        {bestAt && <circle class="incumbent" cx={bestAt[0]} cy={bestAt[1]} r={8} />}
        <FocusMarks trials={trials} place={place} classOf={classOf} />
      </svg>
      <Tip trials={trials} place={place} width={width}>
        {t => (
          <div class="muted">
            {plain(spec.name)} {plain(val(t.params[spec.name]))}
          </div>
        )}
      </Tip>
      <p class="hidden">
        {trials.length} scored trials; best {num(run.best_value)}.
      </p>
    </div>
  );
}
