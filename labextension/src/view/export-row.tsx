/** What a reader takes away: the trials as CSV, the open pane as PNG or SVG, the run as one HTML page. */

import { useState } from 'preact/hooks';
import { useBundle, useEnv } from './context';
import { download, paneSvg, svgPng, svgText, trialsCsv } from './exports';
import { plain } from './safe';

export function ExportRow({ pane }: { pane: string }) {
  const { store, id } = useEnv();
  const bundle = useBundle();
  const [problem, setProblem] = useState('');
  const name = plain(bundle.run.name ?? 'run');
  const picture = (event: { currentTarget: EventTarget }) => {
    const root = (event.currentTarget as Element).getRootNode() as ShadowRoot;
    const svg = paneSvg(root.getElementById(`${id}-pane`)!, `${name}: ${pane}`);
    setProblem(svg ? '' : 'This pane has no chart.');
    return svg;
  };
  const file = (end: string) => `${name}-${pane}.${end}`.toLowerCase();
  return (
    <p class="export-row">
      <span class="muted">Download</span>
      <button
        type="button"
        class="link"
        aria-label="Download CSV of the trials"
        onClick={() => download(trialsCsv(bundle), `${name}.csv`, 'text/csv')}
      >
        CSV
      </button>
      <button
        type="button"
        class="link"
        aria-label="Download PNG of this pane"
        onClick={async event => {
          const svg = picture(event);
          if (svg) {
            download(await svgPng(svg), file('png'), 'image/png');
          }
        }}
      >
        PNG
      </button>
      <button
        type="button"
        class="link"
        aria-label="Download SVG of this pane"
        onClick={event => {
          const svg = picture(event);
          if (svg) {
            download(svgText(svg), file('svg'), 'image/svg+xml');
          }
        }}
      >
        SVG
      </button>
      {store.canSend && store.connected && (
        <button
          type="button"
          class="link"
          aria-label="Download HTML report of the run"
          onClick={() => store.requestPage(html => download(html, `${name}.html`, 'text/html'))}
        >
          HTML
        </button>
      )}
      <span class="muted" role="status">
        {problem}
      </span>
    </p>
  );
}
