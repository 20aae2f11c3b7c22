/** The JupyterLab and Notebook 7 plugins. */

import { cellsPlugin } from './lab/cells-plugin';
import { runsPlugin } from './lab/runs-plugin';
import css from './lab/style.css';

const sheet = new CSSStyleSheet();
sheet.replaceSync(css);
document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];

export default [runsPlugin, cellsPlugin];
