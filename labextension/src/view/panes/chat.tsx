/** Chat: what was asked, answered, taken and rejected, and what you said; newest last, followed. */

import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { useBundle, useEnv, useJump } from '../context';
import { entriesOf } from '../entries';
import { Empty } from '../plot';
import { Message, Proposal, SpaceMessage, textOf } from './messages';

const PAGE = 40;

export function Chat() {
  const { printing, store } = useEnv();
  const { chat, space, trials, omitted } = useBundle();
  const [query, setQuery] = useState('');
  const [pages, setPages] = useState(1);
  const [follow, setFollow] = useState(store.live);
  const list = useRef<HTMLDivElement>(null);
  const inner = useRef<HTMLDivElement>(null);
  const followedTo = useRef(-1); // where following put the list: a scroll to there is not the reader's
  const entries = useMemo(() => entriesOf(chat, space.versions, trials), [chat, space.versions, trials]);
  const matching = useMemo(() => {
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    return words.length ? entries.filter(e => words.every(w => textOf(e).includes(w))) : entries;
  }, [entries, query]);
  const inPages = printing ? matching : matching.slice(-PAGE * pages);
  const lastKey = inPages[inPages.length - 1]?.key;

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new last entry moves the end
  useLayoutEffect(() => {
    // answers grow while they are drawn (markdown, what is fetched): the end is followed, not jumped to once
    const toEnd = () => {
      const el = list.current;
      if (el) {
        el.scrollTop = el.scrollHeight;
        followedTo.current = el.scrollTop;
      }
    };
    if (!follow || !inner.current) {
      return;
    }
    toEnd();
    const observer = new ResizeObserver(toEnd);
    observer.observe(inner.current);
    return () => observer.disconnect();
  }, [follow, lastKey]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new search begins at its last page
  useEffect(() => setPages(1), [query]);

  const jump = useJump();
  // biome-ignore lint/correctness/useExhaustiveDependencies: once for each jump
  useEffect(() => {
    if (jump?.pane !== 'chat') {
      return;
    }
    const at = entries.findIndex(e => e.key === `v${jump.version}`);
    setFollow(false);
    setQuery('');
    const aim = (again: number) =>
      requestAnimationFrame(() => {
        setPages(p => Math.max(p, Math.ceil((entries.length - at) / PAGE)));
        const el = list.current;
        const target = el?.querySelector<HTMLElement>(`[data-version="${jump.version}"]`);
        if (el && target) {
          el.scrollTop += target.getBoundingClientRect().top - el.getBoundingClientRect().top - 8;
          target.focus({ preventScroll: true });
        }
        if (again) {
          aim(again - 1); // what comes into sight gets its real height only then
        }
      });
    aim(3);
  }, [jump]);

  // only the reader's own scrolling ends following, or takes it up again at the end
  const onScrolled = () => {
    const el = list.current;
    if (el && store.live && Math.abs(el.scrollTop - followedTo.current) > 1) {
      followedTo.current = -1;
      setFollow(el.scrollHeight - el.scrollTop - el.clientHeight < 40);
    }
  };
  const earlier = () => {
    const el = list.current;
    const fromEnd = el ? el.scrollHeight - el.scrollTop : 0;
    setFollow(false);
    setPages(p => p + 1);
    requestAnimationFrame(() => {
      if (el) {
        el.scrollTop = el.scrollHeight - fromEnd;
      }
    });
  };

  return (
    <div class="chat">
      <div class="chat-bar">
        <input
          type="search"
          placeholder="Search"
          aria-label="Search the chat"
          value={query}
          onInput={event => setQuery(event.currentTarget.value)}
        />
        <span class="muted" role="status">
          {query
            ? `${matching.length} of ${entries.length}`
            : `${entries.length} message${entries.length === 1 ? '' : 's'}`}
        </span>
        {store.live && (
          <label class="follow" title="Keep the newest message in sight">
            <input
              type="checkbox"
              checked={follow}
              onChange={event => setFollow(event.currentTarget.checked)}
            />
            Follow
          </label>
        )}
      </div>
      <div
        class="chat-list"
        ref={list}
        onScroll={onScrolled}
        role="log"
        aria-label="Conversation"
        tabIndex={0}
      >
        <div ref={inner}>
          {(omitted?.chat ?? 0) > 0 && inPages.length === matching.length && (
            <p class="muted centre">{omitted!.chat} earlier messages are in the run’s transcript.</p>
          )}
          {inPages.length < matching.length && (
            <button type="button" class="link centre" onClick={earlier}>
              Show {Math.min(PAGE, matching.length - inPages.length)} earlier messages
            </button>
          )}
          {inPages.length === 0 && (
            <Empty>
              {query
                ? 'Nothing found.'
                : store.live
                  ? 'Messages come once the default configuration is scored.'
                  : 'No messages.'}
            </Empty>
          )}
          {inPages.map(e =>
            'item' in e ? (
              <Message key={e.key} item={e.item} />
            ) : 'version' in e ? (
              <SpaceMessage key={e.key} version={e.version} before={e.before} />
            ) : (
              <Proposal key={e.key} trial={e.proposal} />
            )
          )}
        </div>
      </div>
    </div>
  );
}
