/** Light or dark: read from what is really behind the view, since each front end names its themes differently. */

function luminance(color: string): number | null {
  const parts = color.match(/[\d.]+/g)?.map(Number);
  if (!parts || parts.length < 3 || (parts[3] ?? 1) < 0.5) {
    return null;
  }
  const [r, g, b] = parts as [number, number, number];
  return (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
}

function isDark(host: Element): boolean {
  const preference = document.documentElement.dataset.sllmboTheme;
  if (preference) {
    return preference === 'dark';
  }
  // JupyterLab and Notebook 7 name it, also while the view is not attached or their style sheets still load
  const { jpThemeLight } = document.body.dataset;
  if (jpThemeLight) {
    return jpThemeLight === 'false';
  }
  for (let node: Element | null = host; node; node = node.parentElement) {
    const light = luminance(getComputedStyle(node).backgroundColor);
    if (light !== null) {
      return light < 0.45;
    }
  }
  return false;
}

/** Keep `data-theme` of the container at "light" or "dark" until the returned function is called. */
export function followTheme(host: HTMLElement, container: HTMLElement): () => void {
  const update = () => {
    container.dataset.theme = isDark(host) ? 'dark' : 'light';
    container.dataset.contrast = /contrast/i.test(document.body.dataset.jpThemeName ?? '')
      ? 'more'
      : 'normal';
    container.toggleAttribute('data-own-theme', Boolean(document.documentElement.dataset.sllmboTheme));
  };
  const soon = () => requestAnimationFrame(update);
  const observer = new MutationObserver(soon);
  const attributeFilter = [
    'class',
    'style',
    'data-jp-theme-name',
    'data-jp-theme-light',
    'data-sllmbo-theme'
  ];
  const options = { attributes: true, attributeFilter };
  observer.observe(document.documentElement, options);
  observer.observe(document.body, options);
  const media = matchMedia('(prefers-color-scheme: dark)');
  media.addEventListener('change', soon);
  // a view may be attached after it was mounted: only then is there something behind it
  const attached = new ResizeObserver(soon);
  attached.observe(host);
  update();
  soon();
  return () => {
    observer.disconnect();
    attached.disconnect();
    media.removeEventListener('change', soon);
  };
}
