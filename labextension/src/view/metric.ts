/**
 * Scores in the units that people use: "MAE 44.3, lower is better" for scikit-learn's "neg_mean_absolute_error".
 * The same function over the same table as `sllmbo_magic/task/display_metric.py`. The store keeps the data as
 * they come; every component reads them through `displayed`.
 */

import type { Bundle, Run, Trial } from './bundle';
import losses from './losses.json';

export interface DisplayMetric {
  label: string;
  /** What a stored score is multiplied by. */
  sign: 1 | -1;
  maximize: boolean;
}

type Scored = { metric?: string | null; direction?: string | null; negated?: boolean | null };

export function displayMetric({ metric, direction, negated }: Scored): DisplayMetric {
  const name = metric || 'score';
  const maximize = (direction ?? 'maximize') === 'maximize';
  const isNegative = maximize && (negated === true || name.startsWith('neg_'));
  const loss = isNegative ? name.replace(/^neg_/, '') : name;
  const common = Object.hasOwn(losses, loss) ? losses[loss as keyof typeof losses] : undefined;
  return {
    label: common ?? (loss === name ? name : loss.replaceAll('_', ' ')),
    sign: isNegative ? -1 : 1,
    maximize: direction !== 'minimize' && !isNegative
  };
}

export const betterText = (run: Run): string =>
  run.direction === 'minimize' ? 'lower is better' : run.direction?.includes(',') ? '' : 'higher is better';

const flip = <T extends number | null | undefined>(score: T): T =>
  (typeof score === 'number' ? -score + 0 : score) as T;

const trials = new WeakMap<Trial, Trial>();

function displayedTrial(trial: Trial): Trial {
  let displayed = trials.get(trial);
  if (!displayed) {
    displayed = {
      ...trial,
      ...('value' in trial ? { value: flip(trial.value ?? null) } : {}),
      ...(trial.splits ? { splits: trial.splits.map(flip) } : {}),
      ...(trial.folds ? { folds: trial.folds.map(flip) } : {})
    };
    trials.set(trial, displayed);
  }
  return displayed;
}

const lists = new WeakMap<Trial[], Trial[]>();
const bundles = new WeakMap<Bundle, Bundle>();

/** The bundle with all scores as people read them. Entries that did not change are the same objects as before. */
export function displayed(bundle: Bundle): Bundle {
  let displayed = bundles.get(bundle);
  if (!displayed) {
    displayed = convert(bundle);
    bundles.set(bundle, displayed);
  }
  return displayed;
}

function convert(bundle: Bundle): Bundle {
  const { run } = bundle;
  const { label, sign, maximize } = displayMetric(run);
  if (sign === 1) {
    return label === run.metric ? bundle : { ...bundle, run: { ...run, metric: label } };
  }
  let list = lists.get(bundle.trials);
  if (!list) {
    list = bundle.trials.map(displayedTrial);
    lists.set(bundle.trials, list);
  }
  const check = run.summary?.verification;
  const summary = run.summary && {
    ...run.summary,
    ...(check
      ? {
          verification: {
            ...check,
            default_mean: flip(check.default_mean ?? null),
            best_mean: flip(check.best_mean ?? null),
            test_default: flip(check.test_default ?? null),
            test_best: flip(check.test_best ?? null)
          }
        }
      : {})
  };
  return {
    ...bundle,
    trials: list,
    run: {
      ...run,
      metric: label,
      direction: maximize ? 'maximize' : 'minimize',
      default_value: flip(run.default_value),
      best_value: flip(run.best_value),
      summary
    }
  };
}
