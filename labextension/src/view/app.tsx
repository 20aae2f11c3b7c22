/** The whole view: status, controls, panes beside the chat, and the trial that is looked at. */

import { useState } from 'preact/hooks';
import { EnvContext, useBundle, useEnv, useWidth } from './context';
import type { Env } from './context';
import { Controls } from './controls';
import { Inspector } from './inspector';
import { Chat } from './panes/chat';
import { CostPane } from './panes/cost';
import { Importance } from './panes/importance';
import { Parallel } from './panes/parallel';
import { Scores } from './panes/scores';
import { Space } from './panes/space';
import { Trials } from './panes/trials';
import { Status } from './status';
import { Tabs } from './tabs';
import type { Pane } from './tabs';

const WIDE = 980;

const CHAT: Pane = { key: 'chat', label: 'Chat', content: Chat };
const PANES: Pane[] = [
  { key: 'scores', label: 'Scores', content: Scores },
  { key: 'space', label: 'Search space', content: Space },
  { key: 'trials', label: 'Trials', content: Trials },
  { key: 'importance', label: 'Importance', content: Importance },
  { key: 'parallel', label: 'Parallel coordinates', content: Parallel },
  { key: 'cost', label: 'Cost', content: CostPane }
];

export function App({ env }: { env: Env }) {
  return (
    <EnvContext.Provider value={env}>
      <View />
    </EnvContext.Provider>
  );
}

function View() {
  const { store, printing } = useEnv();
  const { run } = useBundle();
  const [ref, width] = useWidth<HTMLElement>();
  const [pane, setPane] = useState('scores');
  const wide = width >= WIDE;
  const panes = wide ? PANES : [...PANES.slice(0, 1), CHAT, ...PANES.slice(1)];
  return (
    <section class="run" aria-label={`Run ${run.name ?? ''}`} ref={ref}>
      <Status />
      {store.canSend && <Controls />}
      {printing ? (
        [...PANES, CHAT].map(({ key, label, content: Content }) => (
          <section class="printed" key={key}>
            <h3>{label}</h3>
            <Content />
          </section>
        ))
      ) : (
        <div class={wide ? 'body wide' : 'body'}>
          <div class="main">
            <Tabs panes={panes} current={!wide || pane !== 'chat' ? pane : 'scores'} choose={setPane} />
            <Inspector />
          </div>
          {wide && (
            <section class="side" aria-label="Chat">
              <h3 class="side-title">Chat</h3>
              <Chat />
            </section>
          )}
        </div>
      )}
    </section>
  );
}
