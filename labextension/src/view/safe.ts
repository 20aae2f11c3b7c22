/** Untrusted text, made safe to show: characters that deceive are removed, markdown is sanitised. */

import DOMPurify from 'dompurify';
import { Marked } from 'marked';

const ANSI =
  /(?:\u001b\[|\u009b)[0-?]*[ -/]*[@-~]|(?:\u001b[PX^_\]]|[\u0090\u0098\u009d-\u009f])[^\u0007\u001b\u009c]*(?:\u0007|\u001b\\|\u009c)?|\u001b[ -/]*[0-~]?/g;
const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/g;

/** Text without terminal sequences, control characters and direction overrides (a saved file may hold any). */
export function plain(text: unknown): string {
  return String(text ?? '')
    .replace(ANSI, '')
    .replace(HIDDEN, '');
}

const marked = new Marked({ gfm: true, breaks: true });

const TAGS = [
  'a',
  'b',
  'blockquote',
  'br',
  'code',
  'del',
  'em',
  'h1',
  'h2',
  'h3',
  'h4',
  'h5',
  'h6',
  'hr',
  'i',
  'li',
  'ol',
  'p',
  'pre',
  's',
  'strong',
  'table',
  'tbody',
  'td',
  'th',
  'thead',
  'tr',
  'ul'
];

/**
 * Markdown as a fragment of harmless elements. No image, style, form, id or class survives, hence no request
 * leaves the page; a link is http(s), opens elsewhere and says nothing of where it came from.
 */
export function markdown(text: unknown): DocumentFragment {
  const html = marked.parse(plain(text), { async: false });
  const fragment = DOMPurify.sanitize(html, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: ['href', 'start', 'align'],
    ALLOWED_URI_REGEXP: /^https?:\/\//i,
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    RETURN_DOM_FRAGMENT: true
  });
  fragment.querySelectorAll('a').forEach(link => {
    const href = link.getAttribute('href');
    if (href === null) {
      link.replaceWith(...link.childNodes);
      return;
    }
    link.target = '_blank';
    link.rel = 'noopener noreferrer nofollow';
    link.referrerPolicy = 'no-referrer';
    link.title = href;
  });
  // a heading of an answer is no heading of the page
  fragment.querySelectorAll('h1,h2,h3,h4,h5,h6').forEach(heading => {
    const p = document.createElement('p');
    const strong = document.createElement('strong');
    strong.append(...heading.childNodes);
    p.append(strong);
    heading.replaceWith(p);
  });
  return fragment;
}
