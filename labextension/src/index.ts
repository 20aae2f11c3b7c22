/** The JupyterLab and Notebook 7 plugins. */

import { cellsPlugin } from './lab/cells-plugin';
import css from './lab/style.css';
import { runsPlugin } from './lab/runs-plugin';

const sheet = new CSSStyleSheet();
sheet.replaceSync(css);
document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];

export default [runsPlugin, cellsPlugin];
