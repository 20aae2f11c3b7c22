import { LabIcon } from '@jupyterlab/ui-components';

/** Points that climb: a search that gets better. */
export const runIcon = new LabIcon({
  name: 'sllmbo-magic:run',
  svgstr:
    '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16" viewBox="0 0 16 16">' +
    '<g class="jp-icon3" fill="#616161"><circle cx="3" cy="12" r="1.8"/><circle cx="6.6" cy="8.6" r="1.8"/>' +
    '<circle cx="9.4" cy="10.2" r="1.8"/><circle cx="13" cy="4" r="2.2"/></g></svg>'
});
