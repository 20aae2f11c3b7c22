/** The whole view: status, controls, panes beside the chat, and the trial that is looked at. */

import { useEffect, useState } from 'preact/hooks';
import type { Env } from './context';
import { EnvContext, useBundle, useEnv, useJump, useWidth } from './context';
import { Controls } from './controls';
import { ExportRow } from './export-row';
import { Inspector } from './inspector';
import { Chat } from './panes/chat';
import { Compare } from './panes/compare';
import { Contour } from './panes/contour';
import { CostPane } from './panes/cost';
import { Failures } from './panes/failures';
import { Importance } from './panes/importance';
import { Parallel } from './panes/parallel';
import { Pareto } from './panes/pareto';
import { Scores } from './panes/scores';
import { SlicePane } from './panes/slice';
import { Space } from './panes/space';
import { Trials } from './panes/trials';
import { Status } from './status';
import type { Pane } from './tabs';
import { Tabs } from './tabs';

const WIDE = 980;

const CHAT: Pane = { key: 'chat', label: 'Chat', content: Chat };
const PANES: Pane[] = [
  { key: 'scores', label: 'Scores', content: Scores },
  { key: 'space', label: 'Search space', content: Space },
  { key: 'trials', label: 'Trials', content: Trials },
  { key: 'importance', label: 'Importance', content: Importance },
  { key: 'slice', label: 'Slice', content: SlicePane },
  { key: 'parallel', label: 'Parallel coordinates', content: Parallel },
  { key: 'contour', label: 'Contour', content: Contour },
  { key: 'failures', label: 'Failures', content: Failures },
  { key: 'cost', label: 'Cost', content: CostPane }
];
/** Panes about the one score of each trial, which several objectives have not. */
const OF_ONE_SCORE = new Set(['scores', 'importance', 'slice', 'parallel', 'contour']);
const PARETO: Pane = { key: 'pareto', label: 'Pareto', content: Pareto };
const COMPARE: Pane = { key: 'compare', label: 'Compare', content: Compare };

export function App({ env }: { env: Env }) {
  return (
    <EnvContext.Provider value={env}>
      <View />
    </EnvContext.Provider>
  );
}

function View() {
  const { store, printing } = useEnv();
  const { run, trials } = useBundle();
  const [ref, width] = useWidth<HTMLElement>();
  const [pane, setPane] = useState('scores');
  const [chatOpen, setChatOpen] = useState(true);
  const wide = width >= WIDE && chatOpen;
  const jump = useJump();
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for each jump
  useEffect(() => {
    if (jump?.pane === 'space') {
      setPane('space');
    } else if (jump && width >= WIDE) {
      setChatOpen(true);
    } else if (jump) {
      setPane('chat');
    }
  }, [jump]);
  const several = run.direction?.includes(',') ?? false;
  const ownPanes = [
    ...(several ? [PARETO, ...PANES.filter(p => !OF_ONE_SCORE.has(p.key))] : PANES),
    ...((store.canSend && store.connected) || store.curves ? [COMPARE] : [])
  ];
  const panes = wide ? ownPanes : [...ownPanes.slice(0, 1), CHAT, ...ownPanes.slice(1)];
  const open = panes.find(p => p.key === pane) ?? panes[0]!;
  return (
    <section class="run" aria-label={`Run ${run.name ?? ''}`} ref={ref}>
      <Status />
      {store.canSend && store.wasLive && <Controls />}
      {store.isSnapshot && trials.length === 0 ? null : printing ? (
        [...ownPanes.filter(p => p !== COMPARE), CHAT].map(({ key, label, content: Content }) => (
          <section class="printed" key={key}>
            <h3>{label}</h3>
            <Content />
          </section>
        ))
      ) : (
        <div class={wide ? 'body wide' : 'body'}>
          <div class="main">
            <Tabs panes={panes} current={open.key} choose={setPane} />
            <Inspector />
            <ExportRow pane={open.label} />
            {width >= WIDE && !chatOpen && (
              <button type="button" class="link" onClick={() => setChatOpen(true)}>
                Show the chat beside the panes
              </button>
            )}
          </div>
          {wide && (
            <section class="side" aria-label="Chat">
              <h3 class="side-title">
                Chat{' '}
                <button
                  type="button"
                  class="link"
                  aria-label="Fold the chat into a tab"
                  onClick={() => setChatOpen(false)}
                >
                  Fold
                </button>
              </h3>
              <Chat />
            </section>
          )}
        </div>
      )}
    </section>
  );
}
