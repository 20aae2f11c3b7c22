/** What every component can reach: the run's store, the reader's focus, and small hooks on them. */

import type { RefObject } from 'preact';
import { createContext } from 'preact';
import { useContext, useEffect, useLayoutEffect, useReducer, useRef, useState } from 'preact/hooks';
import type { Bundle } from './bundle';
import { displayed } from './metric';
import type { Store } from './store';
import type { Focus, Jump, Ui } from './ui';

export interface Env {
  store: Store;
  ui: Ui;
  /** Prefix of every id in this view: two runs on a page share none. */
  id: string;
  /** Everything is laid out for paper: nothing is virtualised or applyDelta away. */
  printing: boolean;
}

export const EnvContext = createContext<Env | null>(null);

export function useEnv(): Env {
  const env = useContext(EnvContext);
  if (!env) {
    throw new Error('a pane was rendered outside of a view');
  }
  return env;
}

/** The bundle; the component is drawn again, at most once per frame, when it changes. */
export function useBundle(): Bundle {
  const { store } = useEnv();
  const [, redraw] = useReducer((x: number) => x + 1, 0);
  useEffect(() => {
    let frame = 0;
    const stop = store.listen(() => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        redraw(undefined as never);
      });
    });
    redraw(undefined as never);
    return () => {
      cancelAnimationFrame(frame);
      stop();
    };
  }, [store]);
  return displayed(store.bundle);
}

/** The reader's focus; for the small parts that show it. */
export function useFocus(): Focus {
  const { ui } = useEnv();
  const [focus, setFocus] = useState(ui.focus);
  useEffect(() => {
    setFocus(ui.focus);
    return ui.listen(() => setFocus(ui.focus));
  }, [ui]);
  return focus;
}

/** Where the reader is led, for what lies there; hovering does not redraw it. */
export function useJump(): Jump | null {
  const { ui } = useEnv();
  const [jump, setJump] = useState(ui.focus.jump);
  useEffect(() => {
    setJump(ui.focus.jump);
    return ui.listen(() => setJump(ui.focus.jump));
  }, [ui]);
  return jump;
}

/** Width of an element in whole pixels, followed as it changes; 0 before the first layout. */
export function useWidth<E extends Element>(): [RefObject<E | null>, number] {
  const ref = useRef<E>(null);
  const [width, setWidth] = useState(0);
  useLayoutEffect(() => {
    const element = ref.current;
    if (!element) {
      return;
    }
    const measure = () => {
      const now = Math.floor(element.getBoundingClientRect().width);
      setWidth(was => (now > 0 ? now : was));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}
