/** Tabs as WAI-ARIA describes them: arrows move, Home and End jump, only the chosen pane is drawn. */

import type { ComponentType } from 'preact';
import { useRef } from 'preact/hooks';
import { useEnv } from './context';

export interface Pane {
  key: string;
  label: string;
  content: ComponentType;
}

interface Props {
  panes: Pane[];
  current: string;
  choose: (key: string) => void;
}

export function Tabs({ panes, current, choose }: Props) {
  const { id } = useEnv();
  const list = useRef<HTMLDivElement>(null);
  const at = Math.max(
    0,
    panes.findIndex(p => p.key === current)
  );
  const pane = panes[at]!;
  const Content = pane.content;

  const onKey = (event: KeyboardEvent) => {
    const moves: Record<string, number> = {
      ArrowRight: at + 1,
      ArrowLeft: at - 1,
      Home: 0,
      End: panes.length - 1
    };
    const to = moves[event.key];
    if (to === undefined) {
      return;
    }
    event.preventDefault();
    const next = panes[(to + panes.length) % panes.length]!;
    choose(next.key);
    list.current?.querySelector<HTMLElement>(`[data-key="${next.key}"]`)?.focus();
  };

  return (
    <>
      <div class="tabs" role="tablist" aria-label="Views of the run" ref={list} onKeyDown={onKey}>
        {panes.map(p => (
          <button
            type="button"
            role="tab"
            key={p.key}
            id={`${id}-tab-${p.key}`}
            data-key={p.key}
            data-label={p.label}
            aria-selected={p === pane}
            aria-controls={`${id}-pane`}
            tabIndex={p === pane ? 0 : -1}
            onClick={() => choose(p.key)}
          >
            {p.label}
          </button>
        ))}
      </div>
      <div
        class="pane"
        role="tabpanel"
        id={`${id}-pane`}
        aria-labelledby={`${id}-tab-${pane.key}`}
        tabIndex={0}
      >
        <Content key={pane.key} />
      </div>
    </>
  );
}
