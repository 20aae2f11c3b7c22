/** Mount a view of one run on an element: the one entry that widget, MIME renderer, Lab panel and report use. */

import { render } from 'preact';
import { App } from './app';
import type { Model } from './bundle';
import { Store } from './store';
import css from './style.css';
import { followTheme } from './theme';
import { Ui } from './ui';

/**
 * Show the run. The view lives in a shadow root: the page's styles do not reach it, its styles and ids do not
 * leave it, and many can stand on one page.
 *
 * @returns a function that takes the view away and lets go of the model.
 */
export function mount(element: HTMLElement, model: Model): () => void {
  const host = document.createElement('div');
  host.className = 'sllmbo-run';
  element.append(host);
  const root = host.attachShadow({ mode: 'open' });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  root.adoptedStyleSheets = [sheet];
  const container = document.createElement('div');
  container.className = 'view';
  root.append(container);

  const env = {
    store: new Store(model),
    ui: new Ui(),
    id: `sllmbo-${Math.random().toString(36).slice(2, 10)}`,
    printing: false
  };
  const draw = (printing: boolean) => {
    container.classList.toggle('on-paper', printing); // its width first: the charts measure it
    render(<App env={{ ...env, printing }} />, container);
  };
  const stopTheme = followTheme(host, container);
  const stopKeys = keepKeys(host);
  const print = () => draw(true);
  const screen = () => draw(false);
  window.addEventListener('beforeprint', print);
  window.addEventListener('afterprint', screen);
  draw(false);

  return () => {
    window.removeEventListener('beforeprint', print);
    window.removeEventListener('afterprint', screen);
    stopKeys();
    stopTheme();
    render(null, container);
    env.store.dispose();
    host.remove();
  };
}

/**
 * While a key is pressed inside the view, Jupyter's shortcuts are off (else "d d" typed into a hint deletes the
 * cell: to Jupyter the shadow root is no text field); saving the notebook stays on.
 */
function keepKeys(host: HTMLElement): () => void {
  const mark = (event: KeyboardEvent) => {
    const saves = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 's';
    host.toggleAttribute('data-lm-suppress-shortcuts', event.composedPath().includes(host) && !saves);
  };
  window.addEventListener('keydown', mark, true);
  return () => window.removeEventListener('keydown', mark, true);
}
