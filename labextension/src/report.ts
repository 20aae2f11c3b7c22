/** The script of the self-contained HTML report. */

import { mount } from './view/mount';

const data = document.getElementById('sllmbo-bundle')?.textContent;
const target = document.getElementById('sllmbo-report');
if (data && target) {
  target.replaceChildren();
  mount(target, { snapshot: JSON.parse(data) });
}
